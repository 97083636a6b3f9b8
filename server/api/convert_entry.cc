// SPDX-License-Identifier: Apache-2.0
//
// Entries: the fields that a request sets, checked one by one, and the message of an entry.
#include <algorithm>
#include <utility>

#include "core/base/bytes.h"
#include "server/api/convert.h"

namespace writ {
namespace {

Result<std::vector<std::string>> DnsNamesFrom(
    const google::protobuf::RepeatedPtrField<std::string>& list) {
  if (static_cast<size_t>(list.size()) > kDnsNamesMax) {
    return InvalidArgument("there are " + std::to_string(list.size()) +
                           " DNS names, expected at most " + std::to_string(kDnsNamesMax));
  }
  std::vector<std::string> names;
  for (const std::string& name : list) {
    TRY(ValidateDnsName(name), "invalid DNS name");
    bool repeated = std::find(names.begin(), names.end(), name) != names.end();
    if (!repeated) names.push_back(name);
  }
  return names;
}

Result<std::vector<std::string>> FederatesWithFrom(
    const google::protobuf::RepeatedPtrField<std::string>& list) {
  std::vector<std::string> names;
  for (const std::string& text : list) {
    names.push_back(TRY(TrustDomainFrom(text), "invalid federated trust domain").name());
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

Result<int32_t> TtlFrom(int32_t seconds, const std::string& of) {
  if (seconds >= 0) return seconds;
  return InvalidArgument("the TTL of " + of + " is " + std::to_string(seconds) +
                         " seconds, expected 0 (the server's default) or more");
}

}  // namespace

Result<EntryPatch> EntryPatch::From(const TrustDomain& td, const types::Entry& entry,
                                    const types::EntryMask* mask) {
  using Mask = types::EntryMask;
  auto wanted = [mask](bool (Mask::*field)() const) { return mask == nullptr || (mask->*field)(); };
  EntryPatch patch;
  if (wanted(&Mask::parent_id)) {
    patch.parent_id = TRY(MemberIdFrom(td, entry.has_parent_id() ? &entry.parent_id() : nullptr),
                          "invalid parent ID");
  }
  if (wanted(&Mask::spiffe_id)) {
    patch.spiffe_id = TRY(WorkloadIdFrom(td, entry.has_spiffe_id() ? &entry.spiffe_id() : nullptr),
                          "invalid spiffe ID");
  }
  if (wanted(&Mask::dns_names)) patch.dns_names = TRY(DnsNamesFrom(entry.dns_names()));
  if (wanted(&Mask::federates_with)) {
    patch.federates_with = TRY(FederatesWithFrom(entry.federates_with()));
  }
  if (wanted(&Mask::selectors)) {
    if (entry.selectors().empty()) return InvalidArgument("selector list is empty");
    patch.selectors = TRY(SelectorsFrom(entry.selectors()));
  }
  if (wanted(&Mask::x509_svid_ttl)) {
    patch.x509_ttl_seconds = TRY(TtlFrom(entry.x509_svid_ttl(), "X.509-SVIDs"));
  }
  if (wanted(&Mask::jwt_svid_ttl)) {
    patch.jwt_ttl_seconds = TRY(TtlFrom(entry.jwt_svid_ttl(), "JWT-SVIDs"));
  }
  if (wanted(&Mask::hint)) {
    if (entry.hint().size() > kHintBytesMax) {
      return InvalidArgument("hint is too long, max length is " + std::to_string(kHintBytesMax) +
                             " characters");
    }
    patch.hint = entry.hint();
  }
  if (wanted(&Mask::admin)) patch.admin = entry.admin();
  if (wanted(&Mask::downstream)) patch.downstream = entry.downstream();
  if (wanted(&Mask::expires_at)) patch.expires_at = entry.expires_at();
  if (wanted(&Mask::store_svid)) patch.store_svid = entry.store_svid();
  if (wanted(&Mask::additional_attributes)) {
    const types::Entry::AdditionalAttributes& from = entry.additional_attributes();
    // One that says nothing is none, as SPIRE stores it.
    patch.attributes = Attributes{.present = from.disable_x509_svid_prefetch() ||
                                             from.jwt_svid_include_jti(),
                                  .disable_x509_svid_prefetch = from.disable_x509_svid_prefetch(),
                                  .jwt_svid_include_jti = from.jwt_svid_include_jti()};
  }
  return patch;
}

void EntryPatch::ApplyTo(Entry& entry) const {
  if (spiffe_id) entry.spiffe_id = *spiffe_id;
  if (parent_id) entry.parent_id = *parent_id;
  if (selectors) entry.selectors = *selectors;
  if (x509_ttl_seconds) entry.x509_ttl_seconds = *x509_ttl_seconds;
  if (jwt_ttl_seconds) entry.jwt_ttl_seconds = *jwt_ttl_seconds;
  if (federates_with) entry.federates_with = *federates_with;
  if (admin) entry.admin = *admin;
  if (downstream) entry.downstream = *downstream;
  if (expires_at) entry.expires_at = *expires_at;
  if (dns_names) entry.dns_names = *dns_names;
  if (store_svid) entry.store_svid = *store_svid;
  if (hint) entry.hint = *hint;
  if (attributes) {
    entry.has_additional_attributes = attributes->present;
    entry.disable_x509_svid_prefetch = attributes->disable_x509_svid_prefetch;
    entry.jwt_svid_include_jti = attributes->jwt_svid_include_jti;
  }
}

namespace {

// What carries several of them must stay well below a client's 4 MiB.
constexpr size_t kEntryBytesMax = 512 << 10;
// An SVID with them must be one that TLS stacks and agents take.
constexpr size_t kDnsNamesBytesMax = 32 << 10;

Status CheckSize(const Entry& entry) {
  size_t dns_bytes = 0;
  for (const std::string& name : entry.dns_names) dns_bytes += name.size();
  if (dns_bytes > kDnsNamesBytesMax) {
    return InvalidArgument("the DNS names have " + std::to_string(dns_bytes) +
                           " bytes together, expected at most " +
                           std::to_string(kDnsNamesBytesMax));
  }
  types::Entry message;
  ToProto(entry, nullptr, &message);
  const size_t bytes = message.ByteSizeLong();
  if (bytes <= kEntryBytesMax) return OkStatus();
  return InvalidArgument("the entry has " + std::to_string(bytes) +
                         " bytes as a message, expected at most " +
                         std::to_string(kEntryBytesMax) +
                         ": divide its selectors among several entries");
}

}  // namespace

Status CheckEntry(const Entry& entry) {
  if (entry.selectors.empty()) return InvalidArgument("selector list is empty");
  TRY(CheckSize(entry));
  if (!entry.store_svid) return OkStatus();
  if (entry.disable_x509_svid_prefetch) {
    return InvalidArgument(
        "disable_x509_svid_prefetch concerns the agent's cache, which an entry with store_svid "
        "does not use: set one of them");
  }
  const std::string& type = entry.selectors.begin()->type;
  for (const Selector& selector : entry.selectors) {
    if (selector.type != type) {
      return InvalidArgument(
          "selector types must be the same when store SVID is enabled, but there are \"" +
          Printable(type) + "\" and \"" + Printable(selector.type) + "\"");
    }
  }
  return OkStatus();
}

Result<Entry> EntryFrom(const TrustDomain& td, const types::Entry& proto) {
  EntryPatch patch = TRY(EntryPatch::From(td, proto, nullptr));
  if (!proto.id().empty()) TRY(ValidateEntryId(proto.id()));
  Entry entry{.id = proto.id(), .spiffe_id = *patch.spiffe_id, .parent_id = *patch.parent_id};
  patch.ApplyTo(entry);
  TRY(CheckEntry(entry));
  return entry;
}

void ToProto(const Entry& entry, const types::EntryMask* mask, types::Entry* out) {
  using Mask = types::EntryMask;
  auto wanted = [mask](bool (Mask::*field)() const) { return mask == nullptr || (mask->*field)(); };
  out->set_id(entry.id);
  if (wanted(&Mask::spiffe_id)) ToProto(entry.spiffe_id, out->mutable_spiffe_id());
  if (wanted(&Mask::parent_id)) ToProto(entry.parent_id, out->mutable_parent_id());
  if (wanted(&Mask::selectors)) ToProto(entry.selectors, out->mutable_selectors());
  if (wanted(&Mask::x509_svid_ttl)) out->set_x509_svid_ttl(entry.x509_ttl_seconds);
  if (wanted(&Mask::jwt_svid_ttl)) out->set_jwt_svid_ttl(entry.jwt_ttl_seconds);
  if (wanted(&Mask::federates_with)) {
    for (const std::string& name : entry.federates_with) out->add_federates_with(name);
  }
  if (wanted(&Mask::admin)) out->set_admin(entry.admin);
  if (wanted(&Mask::downstream)) out->set_downstream(entry.downstream);
  if (wanted(&Mask::expires_at)) out->set_expires_at(entry.expires_at);
  if (wanted(&Mask::dns_names)) {
    for (const std::string& name : entry.dns_names) out->add_dns_names(name);
  }
  if (wanted(&Mask::revision_number)) out->set_revision_number(entry.revision);
  if (wanted(&Mask::store_svid)) out->set_store_svid(entry.store_svid);
  if (wanted(&Mask::hint)) out->set_hint(entry.hint);
  if (wanted(&Mask::created_at)) out->set_created_at(entry.created_at);
  if (wanted(&Mask::additional_attributes) && entry.has_additional_attributes) {
    types::Entry::AdditionalAttributes* attributes = out->mutable_additional_attributes();
    attributes->set_disable_x509_svid_prefetch(entry.disable_x509_svid_prefetch);
    attributes->set_jwt_svid_include_jti(entry.jwt_svid_include_jti);
  }
}

}  // namespace writ
