// SPDX-License-Identifier: Apache-2.0
//
// Issuer: the straight line through which every credential leaves: request -> template -> sign ->
// audit -> answer. Fails closed at each step; nothing is handed on before its event is durable.
//
// Trust: keys come from hostile CSRs (parsed and verified by the caller). IDs and TTLs are the
// caller's decision, already authorized. Threads: thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/random.h"
#include "core/base/status.h"
#include "core/crypto/key.h"
#include "core/crypto/x509.h"
#include "core/spiffe/id.h"
#include "server/audit/audit_log.h"
#include "server/ca/authorities.h"

namespace writ {

struct X509Request {
  SpiffeId id;
  PublicKey key;
  std::vector<std::string> dns_names;
  Duration ttl = Duration::zero();  // zero: the default; always cut to the signer's life
  std::string subject_der;          // not empty: in place of IssuerOptions::subject (mint)
  std::string entry_id;             // for the audit
};

struct IssuedX509 {
  SpiffeId id;
  std::vector<std::string> chain;  // DER, leaf first; a self-signed CA's leaf alone
  Serial serial;
  Time not_after;
};

// A CA of a server below this one, in this trust domain.
struct DownstreamCaRequest {
  PublicKey key;
  Duration ttl = Duration::zero();  // zero: the authorities' own; always cut to the signer's life
};

struct JwtRequest {
  SpiffeId id;
  std::vector<std::string> audience;
  Duration ttl = Duration::zero();
  bool include_jti = false;
  std::string entry_id;
};

struct IssuedJwt {
  SpiffeId id;
  std::string token;
  Time issued_at;
  Time expires_at;
};

enum class X509Purpose { kWorkload, kAgent, kServer, kMint };

struct IssuerOptions {
  TrustDomain trust_domain;
  Duration x509_ttl = std::chrono::hours(1);
  Duration agent_ttl = std::chrono::hours(1);
  Duration jwt_ttl = std::chrono::minutes(5);
  std::string jwt_issuer;    // `iss`; empty: absent
  Subject subject;           // of leaves; the first DNS name becomes its CN
  Duration ca_ttl = std::chrono::hours(24);  // of downstream CAs
  Subject ca_subject;        // of downstream CAs; unit and serial number are ours
  Authorities* authorities;  // all borrowed
  AuditLog* audit;
  Clock* clock;
  Random* random;
};

class Issuer {
 public:
  static std::unique_ptr<Issuer> Make(IssuerOptions options);
  virtual ~Issuer() = default;

  // One result per request; the audit events of a batch share one commit. `actor` as in AuditEvent.
  // `done` is called once, as AuditLog::AppendThen() does: no thread waits for the disk.
  using X509Done = std::function<void(std::vector<Result<IssuedX509>>)>;
  virtual void IssueX509Then(std::span<const X509Request> requests, X509Purpose purpose,
                             const std::string& actor, X509Done done) = 0;
  using JwtDone = std::function<void(Result<IssuedJwt>)>;
  virtual void IssueJwtThen(const JwtRequest& request, const std::string& actor, JwtDone done) = 0;

  // The same for callers that may block.
  std::vector<Result<IssuedX509>> IssueX509(std::span<const X509Request> requests,
                                            X509Purpose purpose, const std::string& actor);
  Result<IssuedJwt> IssueJwt(const JwtRequest& request, const std::string& actor);
  // An agent's SVID: signed, then `commit` (the store's transaction with the serial), then audited,
  // then returned. A failed commit returns its status and issues nothing.
  virtual Result<IssuedX509> IssueAgentX509(
      const X509Request& request, const std::string& actor,
      const std::function<Status(const IssuedX509&)>& commit) = 0;
  virtual Result<IssuedX509> IssueDownstreamCa(const DownstreamCaRequest& request,
                                               const std::string& actor) = 0;
};

}  // namespace writ
