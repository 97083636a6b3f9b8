// SPDX-License-Identifier: Apache-2.0
#include "agent/attest/agent_self.h"

#include <algorithm>
#include <utility>

#include "agent/attest/half_life.h"
#include "core/base/bytes.h"
#include "core/crypto/csr.h"
#include "core/spiffe/svid.h"

namespace writ {
namespace {

constexpr std::string_view kKeyPrefix = "agent-svid-";
constexpr size_t kKeyNameRandomBytes = 8;
// The agent's own key; how strong workloads' keys are is a setting of its own.
constexpr KeyType kAgentKeyType = KeyType::kEcP256;
// An early renewal that failed is tried again after a fifth of what is left, but at least this
// often.
constexpr Duration kRenewRetryMax = std::chrono::seconds(30);
constexpr int kRenewRetryShare = 5;

Outcome Retry(Status status) { return Outcome{std::move(status), false}; }
Outcome Fatal(Status status) { return Outcome{std::move(status), true}; }

Status Banned(const Status& status) {
  return PermissionDenied("this agent is banned by the server (" + status.message() +
                          "); an administrator can lift that with `writ agent evict`, after which "
                          "it may attest again")
      .WithReason(status.reason());
}

// The server's answer, or the node's own inability, that no repetition changes.
bool IsRefusal(const Status& status) {
  return status.code() == Code::kInvalidArgument || status.code() == Code::kPermissionDenied ||
         status.code() == Code::kFailedPrecondition;
}

Result<SpiffeId> AgentIdOf(const CertificateChain& chain, const TrustDomain& td) {
  SpiffeId id = TRY(CheckX509Leaf(chain.front()));
  if (id.MemberOf(td) && id.IsAgent()) return id;
  return InvalidArgument("expected an agent's ID in trust domain " + td.name() + ", got " +
                         id.text());
}

}  // namespace

AgentSelf::AgentSelf(AgentSelfOptions options)
    : options_(std::move(options)), trust_(options_.trust_domain, options_.clock, options_.log) {}

bool AgentSelf::Valid(const Identity& identity) const {
  return options_.clock->Now() < identity.leaf().not_after();
}

std::optional<TlsIdentity> AgentSelf::Tls() const {
  MutexLock lock(mu_);
  if (!identity_ || !Valid(*identity_)) return std::nullopt;
  return TlsIdentity{identity_->chain, identity_->signer};
}

Time AgentSelf::DueAt() const { return renew_at_; }

Outcome AgentSelf::Step(ServerApi& server) {
  if (Status loaded = Load(); !loaded.ok()) return Retry(loaded);
  if (Outcome outcome = Bootstrap(server); !outcome.ok()) return outcome;
  if (!bundle_stored_) StoreBundle(*trust_.bundle());
  if (Status saved = SaveUnsaved(server); !saved.ok()) {
    if (must_attest_ || !Tls()) return Retry(saved);
    options_.log->Warn("The agent's new SVID is not in use yet", {{"error", saved}});
    return {};
  }
  if (must_attest_ || !Tls()) return Attest(server);
  if (options_.clock->Now() < renew_at_) return {};
  return RenewEarly(server);
}

// The SVID at hand is still good, so nothing that goes wrong here ends the agent, but for a denial.
Outcome AgentSelf::RenewEarly(ServerApi& server) {
  bool reattestable = false;
  Time not_after;
  {
    MutexLock lock(mu_);
    reattestable = identity_->reattestable;
    not_after = identity_->leaf().not_after();
  }
  Outcome outcome = reattestable ? Attest(server) : Renew(server);
  if (outcome.ok()) return outcome;
  if (outcome.fatal && DenialOf(outcome.status) == Denial::kBanned) return outcome;
  if (DenialOf(outcome.status) != Denial::kNone) {
    Outcome denied = OnDenied(outcome.status);
    return denied.fatal ? denied : Attest(server);
  }
  options_.log->Warn("The agent's SVID was not renewed; the one at hand is used until its end",
                     {{"error", outcome.status}, {"expires_at", FormatTime(not_after)}});
  Time now = options_.clock->Now();
  renew_at_ = now + std::min<Duration>(kRenewRetryMax, (not_after - now) / kRenewRetryShare);
  return {};
}

Status AgentSelf::Load() {
  if (loaded_) return OkStatus();
  std::optional<Identity> identity = TRY(LoadIdentity());
  if (std::optional<Bundle> bundle = options_.state->LoadBundle()) {
    trust_.SetBundle(*std::move(bundle));
  }
  if (identity) {
    options_.log->Info("The agent goes on with its stored SVID",
                       {{"spiffe_id", identity->leaf().uri_sans().front()},
                        {"expires_at", FormatTime(identity->leaf().not_after())}});
    std::string key_name = identity->key_name;
    Use(*std::move(identity));
    RemoveOtherKeys(key_name);
  }
  loaded_ = true;
  return OkStatus();
}

Result<std::optional<AgentSelf::Identity>> AgentSelf::LoadIdentity() {
  std::optional<StoredSvid> stored = options_.state->LoadSvid();
  if (!stored) return std::optional<Identity>();
  Result<std::shared_ptr<Signer>> signer = options_.keys->Get(stored->key_name);
  if (!signer.ok() && signer.code() != Code::kNotFound) {
    return signer.status().Annotate("load the key of the agent's SVID");
  }
  if (!signer.ok() || !((*signer)->Public() == stored->chain.front().public_key())) {
    options_.log->Warn("The key of the stored agent SVID is not here; the agent attests anew",
                       {{"key", stored->key_name}});
    return std::optional<Identity>();
  }
  Identity identity{stored->key_name, std::move(signer).value(), std::move(stored->chain),
                    stored->reattestable};
  if (!Valid(identity)) {
    options_.log->Warn("The stored agent SVID has expired; the agent attests anew",
                       {{"expired_at", FormatTime(identity.leaf().not_after())}});
    return std::optional<Identity>();
  }
  return std::optional<Identity>(std::move(identity));
}

Outcome AgentSelf::Bootstrap(ServerApi& server) {
  if (trust_.bundle()) return {};
  if (!options_.bootstrap.insecure) {
    Result<Bundle> bundle =
        ReadBootstrapBundle(options_.bootstrap, options_.trust_domain, options_.fetch);
    if (!bundle.ok()) {
      return Outcome{bundle.status(), bundle.code() == Code::kFailedPrecondition};
    }
    trust_.SetBundle(std::move(bundle).value());
    return {};
  }
  trust_.AllowUnverified(true);
  Result<Bundle> bundle = server.FetchBundle(true);
  trust_.AllowUnverified(false);
  if (!bundle.ok()) return Retry(bundle.status());
  // From here on the server has to match what it said.
  TakeBundle(std::move(bundle).value(), server);
  return {};
}

Result<AgentSelf::NewKey> AgentSelf::MakeKey() {
  NewKey key;
  key.name = std::string(kKeyPrefix) + HexEncode(options_.random->Bytes(kKeyNameRandomBytes));
  key.signer = TRY(options_.keys->Generate(key.name, kAgentKeyType), "make the agent's key");
  key.csr_der = TRY(MakeCsr(CsrTemplate{}, *key.signer), "make the agent's CSR");
  return key;
}

Outcome AgentSelf::Attest(ServerApi& server) {
  // The newest bundle first: what is issued next must verify against it, and between the server's
  // answer and our disk nothing else may stand.
  Result<Bundle> bundle = server.FetchBundle(true);
  if (!bundle.ok()) return Retry(bundle.status());
  TakeBundle(std::move(bundle).value(), server);

  Result<std::unique_ptr<NodeProver>> prover = options_.prover->Begin();
  if (!prover.ok()) return AttestRefused(prover.status());
  Result<NewKey> key = MakeKey();
  if (!key.ok()) return Retry(key.status());
  Result<AttestedAgent> agent = server.Attest(options_.attestor_type, **prover, key->csr_der);
  if (!agent.ok()) {
    RemoveKey(key->name);
    if (DenialOf(agent.status()) == Denial::kBanned) return Fatal(Banned(agent.status()));
    Status status = agent.status().Annotate("attest this agent");
    return IsRefusal(status) ? AttestRefused(agent.status()) : Retry(status);
  }
  Result<SpiffeId> id = AgentIdOf(agent->chain, options_.trust_domain);
  Status issued = id.ok() ? CheckIssued(agent->chain, *id, key->signer->Public(), *trust_.bundle(),
                                        options_.clock->Now())
                          : id.status();
  if (!issued.ok()) return Retry(Internal(issued.message()).Annotate("attestation's result"));
  Status saved =
      Save(Identity{key->name, key->signer, std::move(agent->chain), agent->reattestable}, server);
  if (saved.ok()) options_.log->Info("The agent is attested", {{"spiffe_id", id->text()}});
  return Retry(saved);
}

Outcome AgentSelf::AttestRefused(const Status& status) const {
  std::string what_to_do =
      "; check node_attestor in the agent's and node_attestors in the server's configuration";
  if (options_.attestor_type == "join_token") {
    // A server of Writ has said so itself.
    const bool told = status.message().find("`writ token create`") != std::string::npos;
    what_to_do = std::string("; a join token works once and for a limited time: ") +
                 (told ? "start the agent with a new one by --join-token"
                       : "make a new one on the server with `writ token create` and start the "
                         "agent with --join-token");
  }
  return Fatal(FailedPrecondition("this agent cannot attest with " + options_.attestor_type + ": " +
                                  status.message() + what_to_do));
}

Outcome AgentSelf::Renew(ServerApi& server) {
  std::optional<SpiffeId> id;
  {
    MutexLock lock(mu_);
    Result<SpiffeId> own = SpiffeIdOf(identity_->leaf());
    CHECK(own.ok());
    id = std::move(own).value();
  }
  Result<NewKey> key = MakeKey();
  if (!key.ok()) return Retry(key.status());
  Result<CertificateChain> chain = server.Renew(key->csr_der);
  Status status = chain.ok() ? CheckIssued(*chain, *id, key->signer->Public(), *trust_.bundle(),
                                           options_.clock->Now())
                             : chain.status();
  if (!status.ok()) {
    RemoveKey(key->name);
    return Retry(status);
  }
  Status saved = Save(Identity{key->name, key->signer, std::move(chain).value(), false}, server);
  if (saved.ok()) options_.log->Info("The agent's SVID is renewed", {{"spiffe_id", id->text()}});
  return Retry(saved);
}

// The server has signed already: only our own disk stands in the way.
Status AgentSelf::SaveUnsaved(ServerApi& server) {
  if (!unsaved_) return OkStatus();
  Identity identity = *std::exchange(unsaved_, std::nullopt);
  if (!Valid(identity)) return OkStatus();
  return Save(std::move(identity), server);
}

// Stored before it is used: its first use retires the old one at the server.
Status AgentSelf::Save(Identity identity, ServerApi& server) {
  Status stored = options_.state->StoreSvid(
      StoredSvid{identity.key_name, identity.chain, identity.reattestable});
  if (!stored.ok()) {
    unsaved_ = std::move(identity);
    return stored;
  }
  std::string key_name = identity.key_name;
  Use(std::move(identity));
  server.Reconnect();
  RemoveOtherKeys(key_name);
  return OkStatus();
}

void AgentSelf::Use(Identity identity) {
  renew_at_ = RenewTime(identity.leaf().not_before(), identity.leaf().not_after(),
                        options_.clock->Now(), *options_.random);
  must_attest_ = false;
  MutexLock lock(mu_);
  identity_ = std::move(identity);
}

// One that stays behind goes with the next SVID, or at the next start.
void AgentSelf::RemoveKey(const std::string& name) {
  if (Status removed = options_.keys->Remove(name); !removed.ok()) {
    options_.log->Warn("A key of the agent was not removed", {{"key", name}, {"error", removed}});
  }
}

void AgentSelf::RemoveOtherKeys(const std::string& keep) {
  Result<std::vector<std::string>> names = options_.keys->List();
  if (!names.ok()) {
    options_.log->Warn("The agent's keys were not listed", {{"error", names.status()}});
    return;
  }
  for (const std::string& name : *names) {
    if (name != keep && name.starts_with(kKeyPrefix)) RemoveKey(name);
  }
}

Outcome AgentSelf::OnDenied(const Status& denied) {
  if (DenialOf(denied) == Denial::kBanned) return Fatal(Banned(denied));
  options_.log->Warn("The server no longer takes the agent's SVID; the agent attests anew",
                     {{"error", denied}});
  must_attest_ = true;
  return {};
}

Status AgentSelf::Rebootstrap(ServerApi& server) {
  std::optional<ServerChain> refused = trust_.TakeRefused();
  if (!refused) return OkStatus();
  if (!options_.rebootstrap || options_.bootstrap.insecure) {
    return Unauthenticated(
        "the kept trust bundle does not verify the server, and no other source is to be read; if "
        "the server is right, stop the agent and remove bundle.json from its data directory");
  }
  Result<Bundle> bundle =
      ReadBootstrapBundle(options_.bootstrap, options_.trust_domain, options_.fetch);
  Status status = bundle.status();
  if (status.ok()) status = VerifyServer(*refused, *bundle, options_.clock->Now());
  if (!status.ok()) {
    return Unauthenticated("neither the kept trust bundle nor the configured source (" +
                           status.message() + ") verifies the server");
  }
  options_.log->Warn("The kept trust bundle did not verify the server; the configured source does");
  Trust(std::move(bundle).value(), server);
  // The source may know less than the server does, for instance of who signed this agent's SVID.
  Result<Bundle> whole = server.FetchBundle(true);
  if (whole.ok()) TakeBundle(std::move(whole).value(), server);
  return OkStatus();
}

void AgentSelf::TakeBundle(Bundle bundle, ServerApi& server) {
  std::shared_ptr<const Bundle> held = trust_.bundle();
  if (held && *held == bundle) return;
  Status own = CheckOwn(bundle);
  Trust(std::move(bundle), server);
  if (own.ok()) return;
  // No server that goes by this bundle will take it; its handshake would not even say why.
  options_.log->Warn("The agent's SVID is of no authority of the trust bundle; it attests anew",
                     {{"error", own}});
  must_attest_ = true;
}

// Whether the identity at hand, if there is one, verifies against `bundle`.
Status AgentSelf::CheckOwn(const Bundle& bundle) const {
  MutexLock lock(mu_);
  if (!identity_ || !Valid(*identity_)) return OkStatus();
  SpiffeId id = TRY(SpiffeIdOf(identity_->leaf()));
  return CheckIssued(identity_->chain, id, identity_->signer->Public(), bundle,
                     options_.clock->Now());
}

void AgentSelf::Trust(Bundle bundle, ServerApi& server) {
  StoreBundle(bundle);
  trust_.SetBundle(std::move(bundle));
  server.Reconnect();  // a connection is verified when it is made
}

// Until it is stored a restart knows the server by an older one, which may verify it no more.
void AgentSelf::StoreBundle(const Bundle& bundle) {
  const Status stored = options_.state->StoreBundle(bundle);
  if (!stored.ok() && bundle_stored_) {
    options_.log->Warn("The trust bundle was not stored; the agent tries again",
                       {{"error", stored}});
  }
  bundle_stored_ = stored.ok();
}

void AgentSelf::OnTainted(const std::set<std::string>& authority_key_ids) {
  CertificateChain chain;
  {
    MutexLock lock(mu_);
    if (identity_) chain = identity_->chain;
  }
  // Once for each: a server that goes on signing with it is not asked again and again. The one that
  // is tainted may stand above what signed the leaf; a certificate that does not say whose key
  // signed it counts as signed by it.
  std::set<std::string> news = authority_key_ids;
  for (const std::string& id : tainted_) news.erase(id);
  const bool is_new = std::any_of(chain.begin(), chain.end(), [&](const Certificate& certificate) {
    const std::string& id = certificate.authority_key_id();
    return id.empty() ? !news.empty() : news.contains(id);
  });
  tainted_ = authority_key_ids;
  if (is_new) renew_at_ = options_.clock->Now();
}

}  // namespace writ
