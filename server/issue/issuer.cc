// SPDX-License-Identifier: Apache-2.0
#include "server/issue/issuer.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/json.h"
#include "core/base/mutex.h"
#include "core/crypto/jws.h"
#include "core/spiffe/svid.h"

namespace writ {
namespace {

constexpr Duration kBackdate = std::chrono::seconds(10);  // for clocks that are behind ours
constexpr size_t kJtiBytes = 16;
// SPIRE's words: the number is the length of the chain above.
constexpr char kDownstreamUnit[] = "DOWNSTREAM-1";

Time WholeSeconds(Time t) { return FromUnixSeconds(ToUnixSeconds(t)); }

std::string_view PurposeName(X509Purpose purpose) {
  switch (purpose) {
    case X509Purpose::kWorkload:
      return "workload";
    case X509Purpose::kAgent:
      return "agent";
    case X509Purpose::kServer:
      return "server";
    case X509Purpose::kMint:
      break;
  }
  return "mint";
}

// The callers have authorized the ID; that it is one which this purpose may ever name holds here,
// whatever they did.
Status CheckId(const SpiffeId& id, const TrustDomain& td, X509Purpose purpose) {
  bool fits = id.MemberOf(td) && !id.path().empty();
  if (purpose == X509Purpose::kAgent) {
    fits = fits && id.IsAgent();
  } else if (purpose == X509Purpose::kServer) {
    fits = fits && id.IsServer();
  } else {
    fits = fits && !id.IsReserved();
  }
  if (fits) return OkStatus();
  return InvalidArgument("\"" + id.text() + "\" is no ID of " + td.name() + " for the purpose \"" +
                         std::string(PurposeName(purpose)) + "\"");
}

// now + ttl, cut to the end of what signs; Unavailable when that is over.
Result<Time> EndOf(Time now, Duration ttl, Time signer_end, std::string_view authority) {
  if (WholeSeconds(signer_end) > now) return WholeSeconds(std::min(now + ttl, signer_end));
  return Unavailable("the " + std::string(authority) + " authority's life ended at " +
                     FormatTime(signer_end) + ": a new one must be activated first");
}

Status RefuseTainted(bool tainted, std::string_view authority) {
  if (!tainted) return OkStatus();
  return Unavailable("the " + std::string(authority) +
                     " authority is tainted and signs no more: its successor is on its way");
}

Json ListOf(const std::vector<std::string>& texts) {
  Json list = Json::MakeArray();
  for (const std::string& text : texts) list.Add(text);
  return list;
}

void SetOutcome(AuditEvent& event, const Status& status) {
  event.outcome = status.ok() ? "ok" : CodeName(status.code());
  if (!status.ok()) event.details.emplace_back("reason", Printable(status.message()));
}

// What a failure to record makes of a credential.
Status Unrecorded(const Status& status) {
  return Unavailable("nothing is issued while the audit log cannot be written: " +
                     status.message());
}

// Where a caller waits for what comes by callback.
template <typename T>
class Arrival {
 public:
  void Set(T value) {
    MutexLock lock(mu_);
    value_ = std::move(value);
    there_.NotifyOne();  // under the lock: the waiter may take this away once it has the value
  }
  T Wait() {
    MutexLock lock(mu_);
    while (!value_) there_.Wait(mu_);
    return std::move(*value_);
  }

 private:
  Mutex mu_;
  CondVar there_;
  std::optional<T> value_ GUARDED_BY(mu_);
};

class OneLineIssuer final : public Issuer {
 public:
  explicit OneLineIssuer(IssuerOptions options) : options_(std::move(options)) {}

  void IssueX509Then(std::span<const X509Request> requests, X509Purpose purpose,
                     const std::string& actor, X509Done done) override;
  void IssueJwtThen(const JwtRequest& request, const std::string& actor, JwtDone done) override;
  Result<IssuedX509> IssueAgentX509(
      const X509Request& request, const std::string& actor,
      const std::function<Status(const IssuedX509&)>& commit) override;
  Result<IssuedX509> IssueDownstreamCa(const DownstreamCaRequest& request,
                                       const std::string& actor) override;

 private:
  Duration DefaultTtl(X509Purpose purpose) const {
    return purpose == X509Purpose::kAgent ? options_.agent_ttl : options_.x509_ttl;
  }
  Result<IssuedX509> SignX509(const X509Request& request, X509Purpose purpose, const X509Ca& ca,
                              Time now) const;
  Result<IssuedX509> SignDownstreamCa(const DownstreamCaRequest& request, const X509Ca& ca,
                                      Time now) const;
  Result<IssuedJwt> SignJwt(const JwtRequest& request, const JwtSigner& signer, Time now,
                            AuditEvent& event) const;

  const IssuerOptions options_;
};

// What was signed, or why not.
void SetOutcome(AuditEvent& event, const Result<IssuedX509>& issued, const X509Ca& ca) {
  if (issued.ok()) {
    event.details.emplace_back("serial", issued->serial.ToDecimal());
    event.details.emplace_back("not_after", FormatTime(issued->not_after));
    event.details.emplace_back("authority_id", ca.authority_id);
  }
  SetOutcome(event, issued.status());
}

AuditEvent EventOf(const X509Request& request, const Result<IssuedX509>& issued,
                   X509Purpose purpose, const X509Ca& ca, const std::string& actor) {
  AuditEvent event{.action = "x509_svid.issue", .actor = actor, .subject = request.id.text()};
  event.details.emplace_back("purpose", PurposeName(purpose));
  if (!request.entry_id.empty()) event.details.emplace_back("entry_id", request.entry_id);
  if (!request.dns_names.empty()) {
    event.details.emplace_back("dns_names", ListOf(request.dns_names));
  }
  SetOutcome(event, issued, ca);
  return event;
}

Result<IssuedX509> OneLineIssuer::SignX509(const X509Request& request, X509Purpose purpose,
                                           const X509Ca& ca, Time now) const {
  TRY(RefuseTainted(ca.tainted, "X.509"));
  TRY(CheckId(request.id, options_.trust_domain, purpose));
  Duration ttl = request.ttl > Duration::zero() ? request.ttl : DefaultTtl(purpose);
  CertificateTemplate leaf;
  leaf.serial = Serial::Generate(*options_.random);
  leaf.subject = options_.subject;
  leaf.subject_der = request.subject_der;
  leaf.not_before = WholeSeconds(now) - kBackdate;
  leaf.not_after = TRY(EndOf(now, ttl, ca.certificate.not_after(), "X.509"));
  leaf.uri_sans = {request.id.text()};
  leaf.dns_sans = request.dns_names;
  if (!request.dns_names.empty()) {
    // SPIRE's way, also where the request brings a subject of its own.
    const std::string& first = request.dns_names.front();
    leaf.subject.common_name = first;
    if (!leaf.subject_der.empty()) {
      leaf.subject_der = TRY(WithCommonName(leaf.subject_der, first), "subject");
    }
  }
  Issuer509 issuer{ca.certificate.subject_der(), ca.certificate.subject_key_id(), ca.signer.get()};
  std::string der = TRY(SignCertificate(leaf, request.key, issuer));
  return IssuedX509{request.id, {std::move(der)}, std::move(leaf.serial), leaf.not_after};
}

void OneLineIssuer::IssueX509Then(std::span<const X509Request> requests, X509Purpose purpose,
                                  const std::string& actor, X509Done done) {
  std::shared_ptr<const X509Ca> ca = options_.authorities->CurrentX509();
  Time now = options_.clock->Now();
  // Shared, because a callback that std::function holds must be copyable.
  auto results = std::make_shared<std::vector<Result<IssuedX509>>>();
  std::vector<AuditEvent> events;
  results->reserve(requests.size());
  events.reserve(requests.size());
  for (const X509Request& request : requests) {
    results->push_back(SignX509(request, purpose, *ca, now));
    events.push_back(EventOf(request, results->back(), purpose, *ca, actor));
  }
  options_.audit->AppendThen(events, [results, done = std::move(done)](const Status& recorded) {
    for (Result<IssuedX509>& result : *results) {
      if (result.ok() && !recorded.ok()) result = Unrecorded(recorded);
    }
    done(std::move(*results));
  });
}

Result<IssuedX509> OneLineIssuer::IssueAgentX509(
    const X509Request& request, const std::string& actor,
    const std::function<Status(const IssuedX509&)>& commit) {
  std::shared_ptr<const X509Ca> ca = options_.authorities->CurrentX509();
  Result<IssuedX509> issued = SignX509(request, X509Purpose::kAgent, *ca, options_.clock->Now());
  if (issued.ok()) {
    Status committed = commit(*issued);
    if (!committed.ok()) issued = committed;
  }
  AuditEvent event = EventOf(request, issued, X509Purpose::kAgent, *ca, actor);
  Status recorded = options_.audit->Append(event);
  if (issued.ok() && !recorded.ok()) return Unrecorded(recorded);
  return issued;
}

Result<IssuedX509> OneLineIssuer::SignDownstreamCa(const DownstreamCaRequest& request,
                                                   const X509Ca& ca, Time now) const {
  TRY(RefuseTainted(ca.tainted, "X.509"));
  const TrustDomain& td = options_.trust_domain;
  CertificateTemplate wanted;
  wanted.serial = Serial::Generate(*options_.random);
  wanted.subject = options_.ca_subject;
  wanted.subject.organizational_unit = kDownstreamUnit;
  wanted.subject.serial_number = wanted.serial.ToDecimal();
  wanted.not_before = WholeSeconds(now) - kBackdate;
  const Duration ttl = request.ttl > Duration::zero() ? request.ttl : options_.ca_ttl;
  wanted.not_after = TRY(EndOf(now, ttl, ca.certificate.not_after(), "X.509"));
  wanted.uri_sans = {td.id()};
  wanted.is_ca = true;
  Issuer509 issuer{ca.certificate.subject_der(), ca.certificate.subject_key_id(), ca.signer.get()};
  std::string der = TRY(SignCertificate(wanted, request.key, issuer));
  // A CA is looked at before anybody relies on it.
  const Certificate made = TRY(Certificate::FromDer(der), "read back the downstream CA");
  TRY(CheckX509Authority(made, td), "verify the downstream CA");
  TRY(VerifyChain(std::span(&made, 1), std::span(&ca.certificate, 1), now),
      "verify the downstream CA");
  SpiffeId id = TRY(SpiffeId::FromPath(td, ""));
  return IssuedX509{std::move(id), {std::move(der)}, std::move(wanted.serial), wanted.not_after};
}

Result<IssuedX509> OneLineIssuer::IssueDownstreamCa(const DownstreamCaRequest& request,
                                                    const std::string& actor) {
  std::shared_ptr<const X509Ca> ca = options_.authorities->CurrentX509();
  Result<IssuedX509> issued = SignDownstreamCa(request, *ca, options_.clock->Now());
  AuditEvent event{
      .action = "downstream_ca.issue", .actor = actor, .subject = options_.trust_domain.id()};
  SetOutcome(event, issued, *ca);
  Status recorded = options_.audit->Append(event);
  if (issued.ok() && !recorded.ok()) return Unrecorded(recorded);
  return issued;
}

Result<IssuedJwt> OneLineIssuer::SignJwt(const JwtRequest& request, const JwtSigner& signer,
                                         Time now, AuditEvent& event) const {
  TRY(RefuseTainted(signer.tainted, "JWT"));
  TRY(CheckId(request.id, options_.trust_domain, X509Purpose::kWorkload));
  std::vector<std::string> audience = request.audience;
  std::erase(audience, "");
  if (audience.empty()) return InvalidArgument("a JWT-SVID needs at least one audience");
  Duration ttl = request.ttl > Duration::zero() ? request.ttl : options_.jwt_ttl;
  Time expires_at = TRY(EndOf(now, ttl, signer.not_after, "JWT"));

  Json claims = Json::MakeObject();
  claims.Set("aud", ListOf(audience));  // a list always, as SPIRE has it
  claims.Set("exp", ToUnixSeconds(expires_at));
  claims.Set("iat", ToUnixSeconds(now));
  if (!options_.jwt_issuer.empty()) claims.Set("iss", options_.jwt_issuer);
  if (request.include_jti) {
    std::string jti = Base64UrlEncode(options_.random->Bytes(kJtiBytes));
    event.details.emplace_back("jti", jti);
    claims.Set("jti", std::move(jti));
  }
  claims.Set("sub", request.id.text());
  std::string token = TRY(SignJws(claims, signer.authority_id, "JWT", *signer.signer));
  return IssuedJwt{request.id, std::move(token), WholeSeconds(now), expires_at};
}

void OneLineIssuer::IssueJwtThen(const JwtRequest& request, const std::string& actor,
                                 JwtDone done) {
  std::shared_ptr<const JwtSigner> signer = options_.authorities->CurrentJwt();
  AuditEvent event{.action = "jwt_svid.issue", .actor = actor, .subject = request.id.text()};
  if (!request.entry_id.empty()) event.details.emplace_back("entry_id", request.entry_id);
  event.details.emplace_back("audience", ListOf(request.audience));
  Result<IssuedJwt> issued = SignJwt(request, *signer, options_.clock->Now(), event);
  if (issued.ok()) {
    event.details.emplace_back("expires_at", FormatTime(issued->expires_at));
    event.details.emplace_back("authority_id", signer->authority_id);
  }
  SetOutcome(event, issued.status());
  options_.audit->AppendThen(
      std::span(&event, 1),
      [issued = std::move(issued), done = std::move(done)](const Status& recorded) {
        done(issued.ok() && !recorded.ok() ? Unrecorded(recorded) : issued);
      });
}

}  // namespace

std::unique_ptr<Issuer> Issuer::Make(IssuerOptions options) {
  return std::make_unique<OneLineIssuer>(std::move(options));
}

std::vector<Result<IssuedX509>> Issuer::IssueX509(std::span<const X509Request> requests,
                                                  X509Purpose purpose, const std::string& actor) {
  Arrival<std::vector<Result<IssuedX509>>> arrival;
  IssueX509Then(requests, purpose, actor,
                [&](std::vector<Result<IssuedX509>> issued) { arrival.Set(std::move(issued)); });
  return arrival.Wait();
}

Result<IssuedJwt> Issuer::IssueJwt(const JwtRequest& request, const std::string& actor) {
  Arrival<Result<IssuedJwt>> arrival;
  IssueJwtThen(request, actor, [&](Result<IssuedJwt> issued) { arrival.Set(std::move(issued)); });
  return arrival.Wait();
}

}  // namespace writ
