// SPDX-License-Identifier: Apache-2.0
//
// Holds Writ to the Rust crate `spiffe`, unchanged. SPIFFE_ENDPOINT_SOCKET names the Workload API.
// A line for each test.

use futures::StreamExt;
use spiffe::{
    BundleSource, JwtSource, JwtSvid, SpiffeId, TrustDomain, WorkloadApiClient, WorkloadApiError,
    X509Context, X509Source,
};
use std::collections::HashSet;
use std::error::Error;
use std::future::Future;
use std::time::Duration;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(90);
const WORKLOAD: &str = "spiffe://example.org/workload";
const SECOND: &str = "spiffe://example.org/second";

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

fn expect(condition: bool, sentence: impl Into<String>) -> Outcome {
    if condition {
        Ok(())
    } else {
        Err(sentence.into().into())
    }
}

fn trust_domain() -> TrustDomain {
    TrustDomain::new("example.org").expect("a trust domain")
}

async fn client() -> Result<WorkloadApiClient, WorkloadApiError> {
    WorkloadApiClient::connect_env().await
}

fn leaves(context: &X509Context) -> Vec<Vec<u8>> {
    context.svids().iter().map(|svid| svid.leaf().as_bytes().to_vec()).collect()
}

async fn x509_context_holds_both_identities() -> Outcome {
    let client = client().await?;
    let context = client.fetch_x509_context().await?;
    let ids: HashSet<String> =
        context.svids().iter().map(|svid| svid.spiffe_id().to_string()).collect();
    let due = HashSet::from([WORKLOAD.to_string(), SECOND.to_string()]);
    expect(ids == due, format!("got {ids:?}"))?;
    let hinted = context.svids().iter().find(|svid| svid.spiffe_id().to_string() == SECOND);
    expect(hinted.and_then(|svid| svid.hint()) == Some("internal"), "no hint")?;
    let bundle = context.bundle_set().get(&trust_domain()).ok_or("no bundle")?;
    expect(!bundle.authorities().is_empty(), "no authority")?;
    let again = client.fetch_x509_context().await?;
    let first = |context: &X509Context| context.default_svid().map(|svid| svid.spiffe_id().clone());
    expect(first(&context) == first(&again), "the order of SVIDs is not stable")
}

async fn stream_goes_through_rotations() -> Outcome {
    let client = client().await?;
    let mut updates = client.stream_x509_contexts().await?;
    let mut last = Vec::new();
    for _ in 0..3 {
        let context = timeout(PATIENCE, updates.next()).await?.ok_or("the stream ended")??;
        expect(leaves(&context) != last, "an unchanged answer was sent twice")?;
        last = leaves(&context);
    }
    Ok(())
}

async fn x509_source_follows_a_rotation() -> Outcome {
    let source = X509Source::new().await?;
    let first = source.svid()?.leaf().as_bytes().to_vec();
    let mut updates = source.updated();
    loop {
        timeout(PATIENCE, updates.changed()).await??;
        if source.svid()?.leaf().as_bytes() != first {
            break;
        }
    }
    let bundle = source.bundle_for_trust_domain(&trust_domain())?;
    expect(bundle.is_some(), "no bundle")?;
    source.shutdown().await;
    Ok(())
}

async fn bundles_are_streamed() -> Outcome {
    let client = client().await?;
    let mut x509 = client.stream_x509_bundles().await?;
    let set = timeout(PATIENCE, x509.next()).await?.ok_or("the stream ended")??;
    expect(set.get(&trust_domain()).is_some(), "no X.509 bundle")?;
    let mut jwt = client.stream_jwt_bundles().await?;
    let set = timeout(PATIENCE, jwt.next()).await?.ok_or("the stream ended")??;
    let bundle = set.get(&trust_domain()).ok_or("no JWT bundle")?;
    let authorities = bundle.jwt_authorities().count();
    expect(authorities > 0, "no JWT authority")
}

async fn jwt_svid_is_fetched_and_validated() -> Outcome {
    let client = client().await?;
    let id = SpiffeId::new(WORKLOAD)?;
    let svid = client.fetch_jwt_svid(["db", "cache"], Some(&id)).await?;
    expect(svid.spiffe_id() == &id, format!("got {}", svid.spiffe_id()))?;
    let valid = client.validate_jwt_token("db", svid.token()).await?;
    expect(valid.spiffe_id() == &id, "validated as another")?;
    expect(client.validate_jwt_token("other", svid.token()).await.is_err(), "a wrong audience")?;
    let cut = &svid.token()[..svid.token().len() - 8];
    expect(client.validate_jwt_token("db", cut).await.is_err(), "a cut token was accepted")?;
    let all = client.fetch_all_jwt_svids(["db"], None).await?;
    expect(all.len() == 2, "one token for each identity")
}

async fn another_identitys_token_is_refused() -> Outcome {
    let id = SpiffeId::new("spiffe://example.org/not-mine")?;
    let answer = client().await?.fetch_jwt_svid(["db"], Some(&id)).await;
    expect(answer.is_err(), "a token of somebody else's identity")
}

async fn jwt_source_validates_offline() -> Outcome {
    let source = JwtSource::new().await?;
    let svid = source.fetch_jwt_svid(["db"]).await?;
    let valid = JwtSvid::parse_and_validate(svid.token(), &source, &["db"])?;
    expect(valid.spiffe_id() == svid.spiffe_id(), "validated as another")?;
    source.shutdown().await;
    Ok(())
}

async fn nobody_has_no_identity() -> Outcome {
    match client().await?.fetch_x509_context().await {
        Err(WorkloadApiError::NoIdentityIssued) => Ok(()),
        Err(other) => Err(format!("failed with {other}").into()),
        Ok(_) => Err("got an identity".into()),
    }
}

async fn report(name: &str, test: impl Future<Output = Outcome>) -> bool {
    match test.await {
        Ok(()) => {
            println!("ok {name}");
            true
        }
        Err(failure) => {
            println!("{failure}\nFAIL {name}");
            false
        }
    }
}

#[tokio::main]
async fn main() {
    let good = if std::env::var_os("WRIT_EXPECT_NO_IDENTITY").is_some() {
        report("nobody_has_no_identity", nobody_has_no_identity()).await
    } else {
        report("x509_context_holds_both_identities", x509_context_holds_both_identities()).await
            & report("stream_goes_through_rotations", stream_goes_through_rotations()).await
            & report("x509_source_follows_a_rotation", x509_source_follows_a_rotation()).await
            & report("bundles_are_streamed", bundles_are_streamed()).await
            & report("jwt_svid_is_fetched_and_validated", jwt_svid_is_fetched_and_validated()).await
            & report("another_identitys_token_is_refused", another_identitys_token_is_refused())
                .await
            & report("jwt_source_validates_offline", jwt_source_validates_offline()).await
    };
    std::process::exit(if good { 0 } else { 1 });
}
