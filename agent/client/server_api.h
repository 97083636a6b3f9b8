// SPDX-License-Identifier: Apache-2.0
//
// ServerApi: what an agent asks of the server, in our own values. Each answer is checked before it
// is handed on: certificates, IDs and tokens parse, and belong to the trust domain.
//
// A denied agent's failure carries the server's reason: DenialOf(status).
// Trust: the server's bytes are hostile until they have passed. Threads: thread-safe; calls block,
// for at most their deadline or until the stop token that the object was made with.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "attestors/node/node_attestor.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/crypto/x509.h"
#include "core/net/tls.h"
#include "core/spiffe/bundle.h"
#include "core/spiffe/entry.h"
#include "core/spiffe/id.h"
#include "core/spiffe/packed_entry.h"

namespace writ {

// Why a server turned an agent away: spire.api.types.PermissionDeniedDetails.Reason.
enum class Denial {
  kNone = 0,
  kExpired = 1,
  kNotAttested = 2,
  kNotActive = 3,
  kBanned = 4,
  kMustReattest = 5,
};
Denial DenialOf(const Status& status);

using CertificateChain = std::vector<Certificate>;  // leaf first, without the root

struct AttestedAgent {
  CertificateChain chain;
  bool reattestable = false;
};

// An entry is stale when its revision or its time of creation differs (a recreated entry starts at
// revision 0 again).
struct EntryChanges {
  std::vector<PackedEntry> put;      // new, or stale in what the caller holds; in ID order
  std::vector<std::string> removed;  // IDs that the agent is no longer authorized for
};

struct SvidRequest {
  std::string entry_id;
  std::string csr_der;
};
inline constexpr size_t kX509BatchMax = 500;  // a server's default rate limit takes no more

struct ReceivedJwt {
  std::string token;
  std::string key_id;  // of the authority that signed it
  Time issued_at;
  Time expires_at;
};

// What changed for this agent.
struct Notice {
  uint64_t sequence = 0;  // with this taken, the agent is in step with the server up to here
  bool resync = false;    // the server cannot say what: fetch everything
  EntryChanges changes;
  std::shared_ptr<const Bundle> bundle;  // null: as it was
};

class NoticeSource {
 public:
  virtual ~NoticeSource() = default;
  // Blocks while the stream of notices lives and hands on each as it comes; how it ended. `after`:
  // the last notice that was taken, 0 for none. Unimplemented: the server has no such stream
  // (SPIRE's), the agent has to poll.
  virtual Status Follow(uint64_t after, const std::function<void(Notice)>& on_notice,
                        std::stop_token stop) = 0;
};

class ServerApi : public NoticeSource {
 public:

  // Without a client certificate. `csr_der`: only its key counts.
  virtual Result<AttestedAgent> Attest(const std::string& type, NodeProver& prover,
                                       const std::string& csr_der) = 0;
  // `anonymous`: over the connection without a client certificate, that Attest() will use.
  virtual Result<Bundle> FetchBundle(bool anonymous) = 0;
  virtual Result<CertificateChain> Renew(const std::string& csr_der) = 0;
  virtual Status PostStatus(const std::string& agent_version) = 0;
  virtual Result<EntryChanges> SyncEntries(const HeldEntries& held) = 0;
  // One result for each request, in order; at most kX509BatchMax.
  virtual Result<std::vector<Result<CertificateChain>>> NewX509Svids(
      const std::vector<SvidRequest>& requests) = 0;
  virtual Result<ReceivedJwt> NewJwtSvid(const Entry& entry,
                                         const std::vector<std::string>& audience,
                                         MonoTime deadline) = 0;
  // The identity or the bundle has changed: the next call makes a new connection, and a stream
  // that lives ends.
  virtual void Reconnect() = 0;
};

struct ServerApiOptions {
  std::string address;  // "host:port"
  TrustDomain trust_domain;
  std::function<std::optional<TlsIdentity>()> identity;  // the agent's, asked at each connect
  VerifyPeer verify;                                     // the server's chain
  Clock* clock;
  Log* log;
  std::stop_token stop;  // ends running calls
};
using MakeServerApi = std::function<std::unique_ptr<ServerApi>(ServerApiOptions)>;
std::unique_ptr<ServerApi> MakeGrpcServerApi(ServerApiOptions options);

// A chain that was issued to us is what we asked for: it bears `id` and `key`, and verifies against
// the bundle. A clock of ours that is behind the server's is no reason to refuse it.
Status CheckIssued(const CertificateChain& chain, const SpiffeId& id, const PublicKey& key,
                   const Bundle& bundle, Time now);

}  // namespace writ
