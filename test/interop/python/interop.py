# SPDX-License-Identifier: Apache-2.0
"""Holds Writ to py-spiffe, the client library that most Python workloads use, unchanged. Runs in an
environment that has it; SPIFFE_ENDPOINT_SOCKET names the Workload API. A line for each test."""

import os
import sys
import threading
import traceback

import grpc
from spiffe import JwtSource, SpiffeId, TrustDomain, WorkloadApiClient, X509Source
from spiffe.workloadapi.errors import (FetchJwtSvidError, ValidateJwtSvidError)

PATIENCE = 90
TRUST_DOMAIN = TrustDomain("example.org")
WORKLOAD = SpiffeId("spiffe://example.org/workload")
SECOND = SpiffeId("spiffe://example.org/second")


def expect(condition, sentence):
    if not condition:
        raise AssertionError(sentence)


def refused(error, call):
    try:
        call()
    except error:
        return
    raise AssertionError(f"succeeded, but {error.__name__} was due")


def test_fetch_x509_svids():
    with WorkloadApiClient() as client:
        svids = {svid.spiffe_id: svid for svid in client.fetch_x509_svids()}
        expect(set(svids) == {WORKLOAD, SECOND}, f"got {list(svids)}")
        expect(svids[SECOND].leaf is not None, "no leaf")
        bundles = client.fetch_x509_bundles()
        authorities = bundles.get_bundle_for_trust_domain(TRUST_DOMAIN).x509_authorities
        expect(len(authorities) >= 1, "no authority")


def test_fetch_x509_context_default_is_the_first():
    with WorkloadApiClient() as client:
        context = client.fetch_x509_context()
        expect(context.default_svid.spiffe_id == client.fetch_x509_svid().spiffe_id,
               "the order of SVIDs is not stable")


def test_stream_through_a_rotation():
    seen, errors = [], []
    enough = threading.Event()

    def updated(context):
        serials = sorted(svid.leaf.serial_number for svid in context.x509_svids)
        seen.append(serials)
        if len(seen) == 3:
            enough.set()

    with WorkloadApiClient() as client:
        stop = client.stream_x509_contexts(updated, errors.append)
        expect(enough.wait(PATIENCE), f"only {len(seen)} updates; errors {errors}")
        stop.cancel()
    distinct = {tuple(serials) for serials in seen}
    expect(len(distinct) == len(seen), f"an unchanged answer was sent twice: {seen}")


def test_x509_source_follows_the_rotation():
    changed = threading.Event()
    with X509Source() as source:
        first = source.svid.leaf.serial_number

        def update():
            if source.svid.leaf.serial_number != first:
                changed.set()

        source.subscribe_for_updates(update)
        expect(changed.wait(PATIENCE), "the source never rotated")
        expect(source.get_bundle_for_trust_domain(TRUST_DOMAIN) is not None, "no bundle")


def test_fetch_and_validate_jwt_svid():
    with WorkloadApiClient() as client:
        svid = client.fetch_jwt_svid(audience={"db", "cache"}, subject=WORKLOAD)
        expect(svid.spiffe_id == WORKLOAD, f"got {svid.spiffe_id}")
        expect(svid.audience == {"db", "cache"}, f"audience {svid.audience}")
        valid = client.validate_jwt_svid(svid.token, "db")
        expect(valid.spiffe_id == WORKLOAD, f"validated as {valid.spiffe_id}")
        refused(ValidateJwtSvidError, lambda: client.validate_jwt_svid(svid.token, "other"))
        refused(ValidateJwtSvidError, lambda: client.validate_jwt_svid(svid.token[:-8], "db"))
        expect(len(client.fetch_jwt_svids(audience={"db"})) == 2, "one token for each identity")


def test_another_identitys_token_is_refused():
    with WorkloadApiClient() as client:
        refused(FetchJwtSvidError, lambda: client.fetch_jwt_svid(
            audience={"db"}, subject=SpiffeId("spiffe://example.org/not-mine")))


def test_jwt_source_and_bundles():
    with JwtSource() as source:
        svid = source.fetch_svid(audience={"db"}, subject=WORKLOAD)
        bundle = source.get_bundle_for_trust_domain(TRUST_DOMAIN)
        expect(bundle is not None and bundle.jwt_authorities, "no JWT authority")
        # Offline validation with the bundle alone.
        from spiffe import JwtSvid  # pylint: disable=import-outside-toplevel
        JwtSvid.parse_and_validate(svid.token, bundle, {"db"})


def test_call_without_the_security_header_is_refused():
    address = os.environ["SPIFFE_ENDPOINT_SOCKET"]
    with grpc.insecure_channel(address.replace("unix://", "unix:")) as channel:
        call = channel.unary_unary("/SpiffeWorkloadAPI/FetchJWTSVID")
        for metadata in ((), (("workload.spiffe.io", "false"),),
                         (("workload.spiffe.io", "true"), ("workload.spiffe.io", "true"))):
            try:
                call(b"", metadata=metadata, timeout=10)
            except grpc.RpcError as error:
                expect(error.code() == grpc.StatusCode.INVALID_ARGUMENT,
                       f"{metadata}: {error.code()}")
            else:
                raise AssertionError(f"{metadata}: answered")


def test_wit_svids_are_unimplemented():
    address = os.environ["SPIFFE_ENDPOINT_SOCKET"]
    with grpc.insecure_channel(address.replace("unix://", "unix:")) as channel:
        for method in ("FetchWITSVID", "FetchWITBundles"):
            call = channel.unary_stream(f"/SpiffeWorkloadAPI/{method}")
            try:
                list(call(b"", metadata=(("workload.spiffe.io", "true"),), timeout=10))
            except grpc.RpcError as error:
                expect(error.code() == grpc.StatusCode.UNIMPLEMENTED, f"{method}: {error.code()}")
            else:
                raise AssertionError(f"{method}: answered")


def main():
    failed = 0
    for name, test in list(globals().items()):
        if not name.startswith("test_"):
            continue
        try:
            test()
            print(f"ok {name}", flush=True)
        except Exception:  # pylint: disable=broad-except
            traceback.print_exc(file=sys.stdout)
            print(f"FAIL {name}", flush=True)
            failed += 1
    # Threads of the library's streams must not hold the process.
    sys.stdout.flush()
    os._exit(1 if failed else 0)


if __name__ == "__main__":
    main()
