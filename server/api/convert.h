// SPDX-License-Identifier: Apache-2.0
//
// Between SPIRE's messages and our values: IDs, selectors, entries, agents, bundles, SVIDs, with
// the output masks applied while a message is filled.
//
// Trust: requests are hostile; everything that is parsed here is checked. Failures are
// InvalidArgument with a sentence. Threads: free functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/spiffe/bundle.h"
#include "core/spiffe/entry.h"
#include "core/spiffe/id.h"
#include "core/spiffe/selector.h"
#include "server/entry/registry.h"
#include "server/issue/issuer.h"
#include "server/store/store.h"
#include "spire/api/types/agent.pb.h"
#include "spire/api/types/bundle.pb.h"
#include "spire/api/types/entry.pb.h"
#include "spire/api/types/federateswith.pb.h"
#include "spire/api/types/jwtsvid.pb.h"
#include "spire/api/types/selector.pb.h"
#include "spire/api/types/spiffeid.pb.h"
#include "spire/api/types/status.pb.h"
#include "spire/api/types/x509svid.pb.h"

namespace writ {

namespace types = spire::api::types;

// ---- limits of one message
// ------------------------------------------------------------------------

// Default gRPC clients accept 4 MiB; an answer that is cut leaves room for the rest of the message.
inline constexpr size_t kMessageBytesMax = 4 << 20;
inline constexpr size_t kPageBytesMax = 3 << 20;
inline constexpr size_t kBatchItemsMax = 10'000;
Status CheckBatch(int items);
// Where a list goes on: a page token is the ordinal of the last item that was sent.
Result<int64_t> PlaceFrom(std::string_view page_token);

// ---- status and IDs
// -------------------------------------------------------------------------------

void ToProto(const Status& status, types::Status* out);
void ToProto(const SpiffeId& id, types::SPIFFEID* out);

// A null `id` is a field that was not set. The kinds differ in the paths that they take.
Result<SpiffeId> MemberIdFrom(const TrustDomain& td, const types::SPIFFEID* id);    // any path
Result<SpiffeId> WorkloadIdFrom(const TrustDomain& td, const types::SPIFFEID* id);  // not /spire
Result<SpiffeId> AgentIdFrom(const TrustDomain& td, const types::SPIFFEID* id);  // /spire/agent/...
Status CheckWorkloadId(const TrustDomain& td, const SpiffeId& id);
// A name, or a SPIFFE ID of which the trust domain is meant.
Result<TrustDomain> TrustDomainFrom(std::string_view text);

template <class Message>
const types::SPIFFEID* IdOf(const Message& message) {
  return message.has_id() ? &message.id() : nullptr;
}

// ---- selectors and filters
// ------------------------------------------------------------------------

Result<Selectors> SelectorsFrom(const google::protobuf::RepeatedPtrField<types::Selector>& list);
void ToProto(const Selectors& selectors, google::protobuf::RepeatedPtrField<types::Selector>* out);
Result<std::pair<Selectors, SelectorMatch>> SelectorMatchFrom(const types::SelectorMatch& match);
Result<std::pair<std::vector<std::string>, SelectorMatch>> FederatesWithMatchFrom(
    const types::FederatesWithMatch& match);

// ---- entries
// --------------------------------------------------------------------------------------

// The fields of an entry that a request sets: all of them, or those of an input mask.
struct EntryPatch {
  std::optional<SpiffeId> spiffe_id;
  std::optional<SpiffeId> parent_id;
  std::optional<Selectors> selectors;
  std::optional<int32_t> x509_ttl_seconds;
  std::optional<int32_t> jwt_ttl_seconds;
  std::optional<std::vector<std::string>> federates_with;
  std::optional<bool> admin;
  std::optional<bool> downstream;
  std::optional<int64_t> expires_at;
  std::optional<std::vector<std::string>> dns_names;
  std::optional<bool> store_svid;
  std::optional<std::string> hint;
  struct Attributes {
    bool present = false;
    bool disable_x509_svid_prefetch = false;
    bool jwt_svid_include_jti = false;
  };
  std::optional<Attributes> attributes;

  // Each field by itself; `mask` null means all.
  static Result<EntryPatch> From(const TrustDomain& td, const types::Entry& entry,
                                 const types::EntryMask* mask);
  void ApplyTo(Entry& entry) const;
};

// A whole new entry.
Result<Entry> EntryFrom(const TrustDomain& td, const types::Entry& entry);
// The rules between fields, which an update may break as well.
Status CheckEntry(const Entry& entry);

void ToProto(const Entry& entry, const types::EntryMask* mask, types::Entry* out);

// ---- agents, bundles, SVIDs
// -----------------------------------------------------------------------

void ToProto(const Agent& agent, const types::AgentMask* mask, types::Agent* out);

void ToProto(const Bundle& bundle, const types::BundleMask* mask, types::Bundle* out);
void ToProto(const JwtAuthority& authority, types::JWTKey* out);
Result<JwtAuthority> JwtAuthorityFrom(const types::JWTKey& key);

void ToProto(const IssuedX509& svid, types::X509SVID* out);
void ToProto(const IssuedJwt& svid, types::JWTSVID* out);

template <class Request>
auto OutputMask(const Request& request) -> decltype(&request.output_mask()) {
  return request.has_output_mask() ? &request.output_mask() : nullptr;
}

}  // namespace writ
