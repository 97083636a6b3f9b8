// SPDX-License-Identifier: Apache-2.0
#include "test/fake/fake_server.h"

#include <algorithm>

#include "core/crypto/csr.h"
#include "core/spiffe/svid.h"

namespace writ {
namespace {

constexpr Duration kBackdate = std::chrono::seconds(10);
constexpr Duration kAuthorityLife = std::chrono::hours(24 * 365);

Status Denied(Denial denial) {
  return PermissionDenied("agent is denied").WithReason(static_cast<int>(denial));
}

Certificate Issue(const CertificateTemplate& wanted, const PublicKey& key,
                  const Certificate& authority, Signer& signer) {
  Issuer509 issuer{authority.subject_der(), authority.subject_key_id(), &signer};
  Result<std::string> der = SignCertificate(wanted, key, issuer);
  CHECK(der.ok());
  Result<Certificate> parsed = Certificate::FromDer(*der);
  CHECK(parsed.ok());
  return *parsed;
}

}  // namespace

FakeServer::FakeServer(TrustDomain td, Clock* clock, Random* random)
    : td_(std::move(td)), clock_(clock), random_(random) {
  MutexLock lock(mu_);
  AddAuthority();
}

void FakeServer::AddAuthority() {
  Result<PrivateKey> key = PrivateKey::Generate(KeyType::kEcP256);
  CHECK(key.ok());
  Authority authority{.signer = MakeSoftwareSigner(*key),
                      .jwt_key_id = "jwt " + std::to_string(sequence_number_)};
  CertificateTemplate certificate{.serial = Serial::Generate(*random_),
                                  .subject = {.organization = "Fake"},
                                  .not_before = Now() - kBackdate,
                                  .not_after = Now() + kAuthorityLife,
                                  .uri_sans = {td_.id()},
                                  .is_ca = true};
  certificate.subject.serial_number = certificate.serial.ToDecimal();
  Result<std::string> der = SignSelfSigned(certificate, *authority.signer);
  CHECK(der.ok());
  Result<Certificate> parsed = Certificate::FromDer(*der);
  CHECK(parsed.ok());
  authority.certificate = std::make_shared<Certificate>(*parsed);
  authorities_.push_back(authority);
  ++sequence_number_;
  Changed("");
  Result<PrivateKey> own = PrivateKey::Generate(KeyType::kEcP256);
  CHECK(own.ok());
  own_chain_ = Sign(ServerId(td_), own->Public(), kAuthorityLife / 2);
}

CertificateChain FakeServer::Sign(const SpiffeId& id, const PublicKey& key, Duration ttl) {
  const Authority& authority = authorities_.back();
  CertificateTemplate leaf{.serial = Serial::Generate(*random_),
                           .subject = {.country = "US", .organization = "Fake"},
                           .not_before = Now() - kBackdate,
                           .not_after = Now() + ttl,
                           .uri_sans = {id.text()}};
  if (!knobs_.intermediate) return {Issue(leaf, key, *authority.certificate, *authority.signer)};
  Result<PrivateKey> own = PrivateKey::Generate(KeyType::kEcP256);
  CHECK(own.ok());
  const std::shared_ptr<Signer> signer = MakeSoftwareSigner(*own);
  CertificateTemplate ca = leaf;
  ca.serial = Serial::Generate(*random_);
  ca.subject.serial_number = ca.serial.ToDecimal();
  ca.uri_sans = {td_.id()};
  ca.is_ca = true;
  Certificate intermediate =
      Issue(ca, signer->Public(), *authority.certificate, *authority.signer);
  return {Issue(leaf, key, intermediate, *signer), intermediate};
}

Bundle FakeServer::BundleNow() const {
  Bundle bundle{.trust_domain = td_, .sequence_number = sequence_number_};
  for (const Authority& authority : authorities_) {
    bundle.x509.push_back(X509Authority{*authority.certificate, authority.tainted});
    bundle.jwt.push_back(JwtAuthority{.key_id = authority.jwt_key_id,
                                      .key = authority.signer->Public(),
                                      .tainted = authority.tainted});
  }
  return bundle;
}

Bundle FakeServer::CurrentBundle() const {
  MutexLock lock(mu_);
  return BundleNow();
}

void FakeServer::PutEntry(Entry entry) {
  MutexLock lock(mu_);
  auto at = entries_.find(entry.id);
  if (at == entries_.end()) {
    entry.revision = 0;
    entry.created_at = ToUnixSeconds(Now());
  } else {
    entry.revision = at->second.revision + 1;
    entry.created_at = at->second.created_at;
  }
  entries_.insert_or_assign(entry.id, entry);
  Changed(entry.id);
}

void FakeServer::RemoveEntry(const std::string& id) {
  MutexLock lock(mu_);
  entries_.erase(id);
  Changed(id);
}

void FakeServer::Changed(const std::string& id) {
  changes_.push_back(id);
  changed_.NotifyAll();
}

void FakeServer::LoseStreams() {
  MutexLock lock(mu_);
  ++streams_lost_;
  changed_.NotifyAll();
}

bool FakeServer::Goes(uint64_t lost, const std::stop_token& stop) const {
  return !stop.stop_requested() && !knobs_.away && streams_lost_ == lost;
}

Notice FakeServer::NoticeSince(uint64_t after) const {
  Notice notice{.sequence = changes_.size(), .resync = after == 0 || after > changes_.size()};
  if (notice.resync) return notice;
  const std::set<std::string> ids(changes_.begin() + static_cast<ptrdiff_t>(after), changes_.end());
  for (const std::string& id : ids) {
    auto entry = entries_.find(id);
    if (id.empty()) {
      notice.bundle = std::make_shared<const Bundle>(BundleNow());
    } else if (entry == entries_.end()) {
      notice.changes.removed.push_back(id);
    } else {
      notice.changes.put.push_back(entry->second);
    }
  }
  return notice;
}

void FakeServer::AddToken(const std::string& token) {
  MutexLock lock(mu_);
  tokens_.insert(token);
}

void FakeServer::Ban(const std::string& agent_id) {
  MutexLock lock(mu_);
  agents_[agent_id].banned = true;
}

void FakeServer::DeleteAgent(const std::string& agent_id) {
  MutexLock lock(mu_);
  agents_.erase(agent_id);
}

void FakeServer::RotateAuthority() {
  MutexLock lock(mu_);
  AddAuthority();
}

void FakeServer::TaintOldAuthorities() {
  MutexLock lock(mu_);
  for (size_t i = 0; i + 1 < authorities_.size(); ++i) authorities_[i].tainted = true;
  ++sequence_number_;
  Changed("");
}

void FakeServer::DropOldAuthorities() {
  MutexLock lock(mu_);
  authorities_.erase(authorities_.begin(), authorities_.end() - 1);
  ++sequence_number_;
  Changed("");
}

void FakeServer::Set(const std::function<void(Knobs&)>& change) {
  MutexLock lock(mu_);
  change(knobs_);
  changed_.NotifyAll();
}

int FakeServer::Calls(const std::string& method) const {
  MutexLock lock(mu_);
  auto at = calls_.find(method);
  return at == calls_.end() ? 0 : at->second;
}

size_t FakeServer::largest_batch() const {
  MutexLock lock(mu_);
  return largest_batch_;
}

Status FakeServer::Begin(const std::string& method) {
  ++calls_[method];
  if (knobs_.away) return Unavailable("the server is away");
  auto refused = knobs_.refuse.find(method);
  return refused == knobs_.refuse.end() ? OkStatus() : refused->second;
}

Status FakeServer::End() {
  if (knobs_.lose_replies == 0) return OkStatus();
  --knobs_.lose_replies;
  return Unavailable("the reply was lost");
}

// The rules of an agent's call: known, not banned, not expired, and of the current serial, or of
// the pending one, which then becomes the current.
Result<std::string> FakeServer::Authorize(const std::optional<TlsIdentity>& identity) {
  if (!identity) return PermissionDenied("caller is no agent");
  const Certificate& leaf = identity->chain.front();
  const std::string& id = leaf.uri_sans().front();
  if (leaf.not_after() <= Now()) return Denied(Denial::kExpired);
  auto at = agents_.find(id);
  if (at == agents_.end()) return Denied(Denial::kNotAttested);
  Agent& agent = at->second;
  if (agent.banned) return Denied(Denial::kBanned);
  std::string serial = leaf.serial().ToDecimal();
  if (serial == agent.pending_serial) {
    agent.serial = serial;
    agent.pending_serial.clear();
  }
  if (serial != agent.serial) return Denied(Denial::kNotActive);
  return id;
}

class FakeConnection final : public ServerApi {
 public:
  FakeConnection(FakeServer* server, ServerApiOptions options)
      : server_(server), options_(std::move(options)) {}

  Result<AttestedAgent> Attest(const std::string& type, NodeProver& prover,
                               const std::string& csr_der) override {
    std::string token = TRY(prover.First());
    TRY(Verify());
    MutexLock lock(server_->mu_);
    TRY(server_->Begin("Attest"));
    Csr csr = TRY(ParseCsr(csr_der));
    bool reattestable = server_->knobs_.reattestable;
    if (!reattestable && server_->tokens_.erase(token) == 0) {
      return InvalidArgument("join token does not exist or has already been used");
    }
    SpiffeId id = TRY(SpiffeId::FromPath(server_->td_, "/spire/agent/" + type + "/" + token));
    FakeServer::Agent& agent = server_->agents_[id.text()];
    if (agent.banned) return Denied(Denial::kBanned);
    AttestedAgent attested{server_->Sign(id, csr.key, server_->knobs_.agent_ttl), reattestable};
    agent.serial = attested.chain.front().serial().ToDecimal();
    agent.pending_serial.clear();
    TRY(server_->End());
    return attested;
  }

  Result<Bundle> FetchBundle(bool anonymous) override {
    TRY(anonymous ? Verify() : Prepare().status());
    MutexLock lock(server_->mu_);
    TRY(server_->Begin("FetchBundle"));
    TRY(server_->End());
    return server_->BundleNow();
  }

  Result<CertificateChain> Renew(const std::string& csr_der) override {
    const std::optional<TlsIdentity> identity = TRY(Prepare());
    MutexLock lock(server_->mu_);
    TRY(server_->Begin("Renew"));
    std::string id = TRY(server_->Authorize(identity));
    if (server_->knobs_.reattestable) return Denied(Denial::kMustReattest);
    Csr csr = TRY(ParseCsr(csr_der));
    CertificateChain chain =
        server_->Sign(TRY(SpiffeId::Parse(id)), csr.key, server_->knobs_.agent_ttl);
    server_->agents_[id].pending_serial = chain.front().serial().ToDecimal();
    TRY(server_->End());
    return chain;
  }

  Status PostStatus(const std::string&) override {
    const std::optional<TlsIdentity> identity = TRY(Prepare());
    MutexLock lock(server_->mu_);
    TRY(server_->Begin("PostStatus"));
    TRY(server_->Authorize(identity));
    return server_->End();
  }

  Result<EntryChanges> SyncEntries(const HeldEntries& held) override {
    const std::optional<TlsIdentity> identity = TRY(Prepare());
    MutexLock lock(server_->mu_);
    TRY(server_->Begin("SyncEntries"));
    TRY(server_->Authorize(identity));
    EntryChanges changes;
    for (const auto& [id, entry] : server_->entries_) {
      const PackedEntry* known = held.Find(id);
      if (known == nullptr || known->revision() != entry.revision ||
          known->created_at() != entry.created_at) {
        changes.put.emplace_back(entry);
      }
    }
    held.ForEach([this, &changes](const PackedEntry& entry) REQUIRES(server_->mu_) {
      std::string id(entry.id());
      if (!server_->entries_.contains(id)) changes.removed.push_back(std::move(id));
    });
    TRY(server_->End());
    return changes;
  }

  Result<std::vector<Result<CertificateChain>>> NewX509Svids(
      const std::vector<SvidRequest>& requests) override {
    const std::optional<TlsIdentity> identity = TRY(Prepare());
    std::function<void(const std::vector<SvidRequest>&)> before;
    {
      MutexLock lock(server_->mu_);
      TRY(server_->Begin("NewX509Svids"));
      before = server_->knobs_.before_x509;
    }
    if (before) before(requests);
    MutexLock lock(server_->mu_);
    TRY(server_->Authorize(identity));
    if (requests.size() > server_->knobs_.batch_max) return ResourceExhausted("fewer");
    server_->largest_batch_ = std::max(server_->largest_batch_, requests.size());
    std::vector<Result<CertificateChain>> results;
    for (const SvidRequest& request : requests) {
      auto entry = server_->entries_.find(request.entry_id);
      Result<Csr> csr = ParseCsr(request.csr_der);
      CHECK(csr.ok());
      if (entry == server_->entries_.end() ||
          server_->knobs_.refuse_entries.contains(request.entry_id)) {
        results.push_back(NotFound("no such entry"));
      } else {
        results.push_back(
            server_->Sign(entry->second.spiffe_id, csr->key, server_->knobs_.x509_ttl));
      }
    }
    TRY(server_->End());
    return results;
  }

  Result<ReceivedJwt> NewJwtSvid(const Entry& entry, const std::vector<std::string>&,
                                 MonoTime) override {
    const std::optional<TlsIdentity> identity = TRY(Prepare());
    std::function<void()> before;
    {
      MutexLock lock(server_->mu_);
      TRY(server_->Begin("NewJwtSvid"));
      before = server_->knobs_.before_jwt;
    }
    if (before) before();
    MutexLock lock(server_->mu_);
    TRY(server_->Authorize(identity));
    if (!server_->entries_.contains(entry.id)) return NotFound("no such entry");
    Time now = server_->Now();
    TRY(server_->End());
    return ReceivedJwt{"token " + std::to_string(++server_->tokens_made_),
                       server_->authorities_.back().jwt_key_id, now, now + server_->knobs_.jwt_ttl};
  }

  Status Follow(uint64_t after, const std::function<void(Notice)>& on_notice,
                std::stop_token stop) override {
    const std::optional<TlsIdentity> identity = TRY(Prepare());
    std::stop_callback on_stop(stop, [this] {
      MutexLock lock(server_->mu_);
      server_->changed_.NotifyAll();
    });
    MutexLock lock(server_->mu_);
    TRY(server_->Begin("Follow"));
    if (!server_->knobs_.notices) return Unimplemented("unknown service writ.v1.Notices");
    TRY(server_->Authorize(identity));
    const uint64_t lost = server_->streams_lost_;
    for (bool first = true; server_->Goes(lost, stop); first = false) {
      Notice notice = server_->NoticeSince(after);
      if (first || notice.sequence != after) {
        after = notice.sequence;
        server_->mu_.Unlock();
        on_notice(std::move(notice));
        server_->mu_.Lock();
      } else {
        server_->changed_.Wait(server_->mu_);
      }
    }
    return Unavailable("the stream is lost");
  }

  void Reconnect() override {
    {
      MutexLock lock(mu_);
      connected_ = false;
    }
    server_->LoseStreams();
  }

 private:
  Status Verify() {
    CertificateChain chain;
    {
      MutexLock lock(server_->mu_);
      if (server_->knobs_.away) return Unavailable("the server is away");
      chain = server_->own_chain_;
    }
    return options_.verify(chain);
  }

  // Connects, if need be, with the identity that the agent has now: that of the connection.
  Result<std::optional<TlsIdentity>> Prepare() {
    MutexLock lock(mu_);
    if (connected_) return identity_;
    TRY(Verify());
    identity_ = options_.identity();
    connected_ = true;
    return identity_;
  }

  FakeServer* const server_;
  const ServerApiOptions options_;
  Mutex mu_;
  bool connected_ GUARDED_BY(mu_) = false;
  std::optional<TlsIdentity> identity_ GUARDED_BY(mu_);
};

std::unique_ptr<ServerApi> FakeServer::Connect(ServerApiOptions options) {
  return std::make_unique<FakeConnection>(this, std::move(options));
}

}  // namespace writ
