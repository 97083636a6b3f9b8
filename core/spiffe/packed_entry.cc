// SPDX-License-Identifier: Apache-2.0
//
// The block: how long the rest is, the head's numbers, then each text behind its length: ID, SPIFFE
// ID, parent, selectors, the TTLs, hint, DNS names, federated trust domains. Numbers take seven
// bits a byte.// A parent of the SPIFFE ID's own trust domain stands there as its path alone.
#include "core/spiffe/packed_entry.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

namespace writ {
namespace {

constexpr uint64_t kAdmin = 1;
constexpr uint64_t kDownstream = 2;
constexpr uint64_t kStoreSvid = 4;
constexpr uint64_t kHasAdditionalAttributes = 8;
constexpr uint64_t kDisableX509SvidPrefetch = 16;
constexpr uint64_t kJwtSvidIncludeJti = 32;

uint64_t FlagsOf(const Entry& entry) {
  return (entry.admin ? kAdmin : 0) | (entry.downstream ? kDownstream : 0) |
         (entry.store_svid ? kStoreSvid : 0) |
         (entry.has_additional_attributes ? kHasAdditionalAttributes : 0) |
         (entry.disable_x509_svid_prefetch ? kDisableX509SvidPrefetch : 0) |
         (entry.jwt_svid_include_jti ? kJwtSvidIncludeJti : 0);
}

// Measures, or writes when it has a place to write to.
class Packer {
 public:
  explicit Packer(char* at) : at_(at) {}

  void Number(uint64_t number) {
    for (; number >= 0x80; number >>= 7) Byte(static_cast<char>(number | 0x80));
    Byte(static_cast<char>(number));
  }
  void Text(std::string_view text) {
    Number(text.size());
    if (at_ != nullptr) std::memcpy(at_ + size_, text.data(), text.size());
    size_ += text.size();
  }
  void Texts(const std::vector<std::string>& texts) {
    Number(texts.size());
    for (const std::string& text : texts) Text(text);
  }
  size_t size() const { return size_; }

 private:
  void Byte(char byte) {
    if (at_ != nullptr) at_[size_] = byte;
    ++size_;
  }

  char* const at_;
  size_t size_ = 0;
};

void Pack(const Entry& entry, Packer& packer) {
  packer.Number(FlagsOf(entry));
  packer.Number(static_cast<uint64_t>(entry.revision));
  packer.Number(static_cast<uint64_t>(entry.created_at));
  packer.Number(static_cast<uint64_t>(entry.expires_at));
  packer.Text(entry.id);
  packer.Text(entry.spiffe_id.text());
  const bool same_domain =
      entry.parent_id.trust_domain_name() == entry.spiffe_id.trust_domain_name();
  packer.Text(same_domain ? entry.parent_id.path() : entry.parent_id.text());
  packer.Number(entry.selectors.size());
  for (const Selector& selector : entry.selectors) {
    packer.Text(selector.type);
    packer.Text(selector.value);
  }
  packer.Number(static_cast<uint32_t>(entry.x509_ttl_seconds));
  packer.Number(static_cast<uint32_t>(entry.jwt_ttl_seconds));
  packer.Text(entry.hint);
  packer.Texts(entry.dns_names);
  packer.Texts(entry.federates_with);
}

SpiffeId PackedId(std::string_view text) {
  Result<SpiffeId> id = SpiffeId::Parse(text);
  CHECK(id.ok());  // it was one when it was packed
  return std::move(id).value();
}

SpiffeId PackedParent(std::string_view text, const SpiffeId& spiffe_id) {
  if (!text.empty() && text.front() != '/') return PackedId(text);
  Result<SpiffeId> id = SpiffeId::FromPath(spiffe_id.trust_domain(), text);
  CHECK(id.ok());  // likewise
  return std::move(id).value();
}

}  // namespace

size_t CountMissing(const std::vector<SelectorView>& selectors, const Selectors& found) {
  size_t missing = 0;
  auto at = found.begin();
  for (const SelectorView& selector : selectors) {
    auto order = [&] { return SelectorView{at->type, at->value} <=> selector; };
    while (at != found.end() && order() < 0) ++at;
    if (at == found.end() || order() != 0) ++missing;
  }
  return missing;
}

class PackedEntry::Reader {
 public:
  explicit Reader(const PackedEntry& entry) : at_(entry.block_.get()) { rest_size_ = Number(); }

  // Where it is, and how much follows the block's first number.
  const char* at() const { return at_; }
  size_t rest_size() const { return rest_size_; }

  uint64_t Number() {
    uint64_t number = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(*at_++);
      number |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return number;
    }
  }
  std::string_view Text() {
    const size_t size = Number();
    return {std::exchange(at_, at_ + size), size};
  }
  std::vector<std::string> Texts() {
    std::vector<std::string> texts(Number());
    for (std::string& text : texts) text = Text();
    return texts;
  }
  std::vector<SelectorView> Selectors() {
    std::vector<SelectorView> selectors(Number());
    for (SelectorView& selector : selectors) {
      selector.type = Text();
      selector.value = Text();
    }
    return selectors;
  }

 private:
  const char* at_;
  size_t rest_size_;
};

PackedEntry::PackedEntry(const Entry& entry) {
  Packer measure(nullptr);
  Pack(entry, measure);
  Packer measure_size(nullptr);
  measure_size.Number(measure.size());
  block_ = std::make_unique_for_overwrite<char[]>(measure_size.size() + measure.size());
  Packer packer(block_.get());
  packer.Number(measure.size());
  Pack(entry, packer);
}

PackedEntry::PackedEntry(const PackedEntry& other) {
  const std::string_view bytes = other.bytes();
  block_ = std::make_unique_for_overwrite<char[]>(bytes.size());
  std::memcpy(block_.get(), bytes.data(), bytes.size());
}

std::string_view PackedEntry::bytes() const {
  const Reader reader(*this);
  const auto first = static_cast<size_t>(reader.at() - block_.get());
  return {block_.get(), first + reader.rest_size()};
}

PackedEntry::Head PackedEntry::ReadHead(Reader& reader) {
  Head head{.flags = reader.Number()};
  head.revision = static_cast<int64_t>(reader.Number());
  head.created_at = static_cast<int64_t>(reader.Number());
  head.expires_at = static_cast<int64_t>(reader.Number());
  return head;
}

PackedEntry::Head PackedEntry::head() const {
  Reader reader(*this);
  return ReadHead(reader);
}

std::string_view PackedEntry::id() const {
  Reader reader(*this);
  ReadHead(reader);
  return reader.Text();
}

int64_t PackedEntry::revision() const { return head().revision; }
int64_t PackedEntry::created_at() const { return head().created_at; }
int64_t PackedEntry::expires_at() const { return head().expires_at; }
bool PackedEntry::store_svid() const { return (head().flags & kStoreSvid) != 0; }
bool PackedEntry::disable_x509_svid_prefetch() const {
  return (head().flags & kDisableX509SvidPrefetch) != 0;
}

bool PackedEntry::ForNodes() const {
  const std::vector<SelectorView> own = selectors();
  return std::any_of(own.begin(), own.end(), IsForNodes<SelectorView>);
}

bool PackedEntry::ExpiredAt(Time now) const {
  const int64_t end = expires_at();
  return end != 0 && ToUnixSeconds(now) > end;
}

SpiffeId PackedEntry::spiffe_id() const {
  Reader reader(*this);
  ReadHead(reader);
  reader.Text();  // the ID
  return PackedId(reader.Text());
}

std::vector<SelectorView> PackedEntry::selectors() const {
  Reader reader(*this);
  ReadHead(reader);
  for (int text = 0; text < 3; ++text) reader.Text();  // the IDs
  return reader.Selectors();
}

Entry PackedEntry::Unpack() const {
  Reader reader(*this);
  const Head head = ReadHead(reader);
  const std::string_view id = reader.Text();
  SpiffeId spiffe_id = PackedId(reader.Text());
  SpiffeId parent_id = PackedParent(reader.Text(), spiffe_id);
  Entry entry{.id = std::string(id),
              .spiffe_id = std::move(spiffe_id),
              .parent_id = std::move(parent_id),
              .admin = (head.flags & kAdmin) != 0,
              .downstream = (head.flags & kDownstream) != 0,
              .expires_at = head.expires_at,
              .revision = head.revision,
              .store_svid = (head.flags & kStoreSvid) != 0,
              .created_at = head.created_at,
              .has_additional_attributes = (head.flags & kHasAdditionalAttributes) != 0,
              .disable_x509_svid_prefetch = (head.flags & kDisableX509SvidPrefetch) != 0,
              .jwt_svid_include_jti = (head.flags & kJwtSvidIncludeJti) != 0};
  std::vector<Selector> selectors;
  for (const SelectorView& selector : reader.Selectors()) {
    selectors.push_back({std::string(selector.type), std::string(selector.value)});
  }
  entry.selectors = Selectors(std::move(selectors));
  entry.x509_ttl_seconds = static_cast<int32_t>(reader.Number());
  entry.jwt_ttl_seconds = static_cast<int32_t>(reader.Number());
  entry.hint = reader.Text();
  entry.dns_names = reader.Texts();
  entry.federates_with = reader.Texts();
  return entry;
}

}  // namespace writ
