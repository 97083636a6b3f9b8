// SPDX-License-Identifier: Apache-2.0
#include "cli/entry_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <functional>
#include <limits>
#include <map>
#include <ostream>

#include "cli/output.h"
#include "core/base/bytes.h"
#include "core/base/config_yaml.h"
#include "core/spiffe/id.h"
#include "core/spiffe/selector.h"

namespace writ {
namespace {

using WireEntry = spire::api::types::Entry;

Result<int64_t> WholeNumber(std::string_view text) {
  int64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) {
    return InvalidArgument("'" + Printable(text) + "' is no whole number");
  }
  return number;
}

Result<std::string> TextOf(const YamlNode& value) {
  if (value.kind == YamlNode::Kind::kScalar) return value.text;
  return InvalidArgument("expected text, found " + std::string(KindName(value.kind)));
}

Result<bool> BoolOf(const YamlNode& value) {
  std::string text = TRY(TextOf(value));
  if (text == "true") return true;
  if (text == "false") return false;
  return InvalidArgument("expected true or false, found '" + Printable(text) + "'");
}

// "spiffe://example.org/web", or {"trust_domain": "example.org", "path": "/web"}, which
// `spire-server entry show -output json` prints.
Result<spire::api::types::SPIFFEID> IdOf(const YamlNode& value) {
  if (value.kind != YamlNode::Kind::kMap) return IdMessage(TRY(TextOf(value)));
  const YamlNode* trust_domain = value.Find("trust_domain");
  const YamlNode* path = value.Find("path");
  if (value.members.size() != 2 || trust_domain == nullptr || path == nullptr) {
    return InvalidArgument("a SPIFFE ID is text, or has the members trust_domain and path");
  }
  return IdMessage("spiffe://" + TRY(TextOf(*trust_domain)) + TRY(TextOf(*path)));
}

// Applies `add` to each element of a list.
Status ForEachOf(const YamlNode& value, const std::function<Status(const YamlNode&)>& add) {
  if (value.kind != YamlNode::Kind::kList) {
    return InvalidArgument("expected a list, found " + std::string(KindName(value.kind)));
  }
  for (const YamlNode& element : value.items) TRY(add(element));
  return OkStatus();
}

// "unix:uid:1000", or SPIRE's {"type": "unix", "value": "uid:1000"}.
Status AddSelector(const YamlNode& value, WireEntry& entry) {
  if (value.kind != YamlNode::Kind::kMap) {
    *entry.add_selectors() = TRY(SelectorMessage(TRY(TextOf(value))));
    return OkStatus();
  }
  const YamlNode* type = value.Find("type");
  const YamlNode* rest = value.Find("value");
  if (value.members.size() != 2 || type == nullptr || rest == nullptr) {
    return InvalidArgument("a selector has the members type and value");
  }
  *entry.add_selectors() =
      TRY(SelectorMessage(TRY(TextOf(*type)) + ":" + TRY(TextOf(*rest))));
  return OkStatus();
}

struct Member;
using Members = std::map<std::string, Member, std::less<>>;
struct Member {
  std::function<Status(const YamlNode&, WireEntry&)> set;
  const Members* members = nullptr;  // of a map, which are then set as well
};

#define SET(body) {[](const YamlNode& v, WireEntry& e) -> Status { body; return OkStatus(); }}
const Members& AttributeMembers() {
  static const Members kMembers{
      {"disable_x509_svid_prefetch",
       SET(e.mutable_additional_attributes()->set_disable_x509_svid_prefetch(TRY(BoolOf(v))))},
      {"jwt_svid_include_jti",
       SET(e.mutable_additional_attributes()->set_jwt_svid_include_jti(TRY(BoolOf(v))))},
  };
  return kMembers;
}

const Members& EntryMembers() {
  static const Members kMembers{
      {"id", SET(e.set_id(TRY(TextOf(v))))},
      {"spiffe_id", SET(*e.mutable_spiffe_id() = TRY(IdOf(v)))},
      {"parent_id", SET(*e.mutable_parent_id() = TRY(IdOf(v)))},
      {"selectors", SET(TRY(ForEachOf(v, [&e](const YamlNode& s) { return AddSelector(s, e); })))},
      {"x509_svid_ttl", SET(e.set_x509_svid_ttl(TRY(TtlSeconds(TRY(TextOf(v))))))},
      {"jwt_svid_ttl", SET(e.set_jwt_svid_ttl(TRY(TtlSeconds(TRY(TextOf(v))))))},
      {"federates_with", SET(TRY(ForEachOf(v, [&e](const YamlNode& name) -> Status {
         e.add_federates_with(TRY(TextOf(name)));
         return OkStatus();
       })))},
      {"dns_names", SET(TRY(ForEachOf(v, [&e](const YamlNode& name) -> Status {
         e.add_dns_names(TRY(TextOf(name)));
         return OkStatus();
       })))},
      {"admin", SET(e.set_admin(TRY(BoolOf(v))))},
      {"downstream", SET(e.set_downstream(TRY(BoolOf(v))))},
      {"store_svid", SET(e.set_store_svid(TRY(BoolOf(v))))},
      {"expires_at", SET(e.set_expires_at(TRY(UnixSeconds(TRY(TextOf(v))))))},
      {"hint", SET(e.set_hint(TRY(TextOf(v))))},
      {"additional_attributes",
       {[](const YamlNode&, WireEntry& e) {
          e.mutable_additional_attributes();  // there, even if nothing stands in it
          return OkStatus();
        },
        &AttributeMembers()}},
      // What `entry list` prints besides; the server's to say, so passed over.
      {"revision_number", SET((void)v; (void)e)},
      {"created_at", SET((void)v; (void)e)},
  };
  return kMembers;
}
#undef SET

// Members that SPIRE's files have under other names.
std::string_view FieldOf(std::string_view key) {
  if (key == "entry_id") return "id";
  if (key == "entryExpiry") return "expires_at";
  return key;
}

// "entries.yaml:12:5", where a mistake stands.
std::string Place(const std::string& name, const YamlNode& node) {
  return name + ":" + std::to_string(node.line) + ":" + std::to_string(node.column);
}

// Sets what the map `node` says; `name` is the file's, for errors.
Status SetAll(const YamlNode& node, const Members& members, const std::string& what,
              const std::string& name, WireEntry& entry) {
  if (node.kind != YamlNode::Kind::kMap) {
    return InvalidArgument(Place(name, node) + ": " + what + " is a map of its fields, not " +
                           std::string(KindName(node.kind)));
  }
  std::map<std::string_view, const YamlNode*> given;  // the key of each field
  for (const auto& [key, value] : node.members) {
    const std::string_view field = FieldOf(key.text);
    const auto [earlier, is_first] = given.emplace(field, &key);
    if (!is_first) {
      return InvalidArgument(Place(name, key) + ": '" + key.text + "' and '" +
                             earlier->second->text + "' (line " +
                             std::to_string(earlier->second->line) +
                             ") are two names of one field; remove one of the two");
    }
    auto member = members.find(field);
    if (member == members.end()) {
      std::string known;
      for (const auto& [one, unused] : members) known += (known.empty() ? "" : ", ") + one;
      return InvalidArgument(Place(name, key) + ": unknown field '" + Printable(key.text) +
                             "'; known are " + known);
    }
    TRY(member->second.set(value, entry), Place(name, value) + ": " + key.text);
    if (const Members* inner = member->second.members) {
      TRY(SetAll(value, *inner, key.text, name, entry));
    }
  }
  return OkStatus();
}

// The UTF-16 unit of an escape at the start of the text, zero when there is none.
uint32_t EscapedUnit(std::string_view text) {
  uint32_t unit = 0;
  if (text.size() >= 6 && text.starts_with("\\u")) {
    std::from_chars(text.data() + 2, text.data() + 6, unit, 16);
  }
  return unit;
}

// JSON's two escapes for one character above U+FFFF ("\ud83d\ude00") become YAML's one, which knows
// no surrogates. Lines stay, and so do columns but for two to the right of it.
std::string JoinSurrogates(std::string_view json) {
  std::string joined;
  while (!json.empty()) {
    const uint32_t high = EscapedUnit(json);
    const uint32_t low = EscapedUnit(json.substr(std::min<size_t>(6, json.size())));
    size_t length = json.starts_with('\\') ? 2 : 1;  // what follows "\\" is no escape's letter
    if (high >= 0xd800 && high < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
      std::array<char, 16> escape;
      std::snprintf(escape.data(), escape.size(), "\\U%08x",
                    0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
      joined += escape.data();
      length = 12;
    } else {
      joined += json.substr(0, length);
    }
    json.remove_prefix(std::min(length, json.size()));
  }
  return joined;
}

// What programs write for a member that is not set; an empty value in YAML is rather a mistake.
void DropNulls(YamlNode& node) {
  std::erase_if(node.members, [](const auto& member) {
    return member.second.kind == YamlNode::Kind::kNull;
  });
  for (auto& [key, value] : node.members) DropNulls(value);
  for (YamlNode& item : node.items) DropNulls(item);
}

// YAML, of which JSON is nearly a part.
Result<YamlNode> ParseFile(std::string_view text, const std::string& name) {
  const bool differs = text.find("\\u") != std::string_view::npos ||
                       text.find("null") != std::string_view::npos;
  if (!differs || !Json::Parse(text).ok()) return ParseYaml(text, name);
  YamlNode document = TRY(ParseYaml(JoinSurrogates(text), name));
  DropNulls(document);
  return document;
}

Result<WireEntry> EntryFromNode(const YamlNode& node, const std::string& name) {
  WireEntry entry;
  TRY(SetAll(node, EntryMembers(), "an entry", name, entry));
  return entry;
}

Json SelectorsJson(const WireEntry& entry) {
  Json list = Json::MakeArray();
  for (const auto& selector : entry.selectors()) {
    list.Add(selector.type() + ":" + selector.value());
  }
  return list;
}

Json TextsJson(const google::protobuf::RepeatedPtrField<std::string>& texts) {
  Json list = Json::MakeArray();
  for (const std::string& text : texts) list.Add(text);
  return list;
}

Json AttributesJson(const WireEntry::AdditionalAttributes& attributes) {
  Json json = Json::MakeObject();
  json.Set("disable_x509_svid_prefetch", attributes.disable_x509_svid_prefetch());
  json.Set("jwt_svid_include_jti", attributes.jwt_svid_include_jti());
  return json;
}

}  // namespace

Result<spire::api::types::SPIFFEID> IdMessage(std::string_view text) {
  SpiffeId id = TRY(SpiffeId::Parse(text));
  spire::api::types::SPIFFEID message;
  message.set_trust_domain(std::string(id.trust_domain_name()));
  message.set_path(std::string(id.path()));
  return message;
}

std::string IdText(const spire::api::types::SPIFFEID& id) {
  return "spiffe://" + id.trust_domain() + id.path();
}

Result<spire::api::types::Selector> SelectorMessage(std::string_view text) {
  Selector selector = TRY(Selector::Parse(text));
  spire::api::types::Selector message;
  message.set_type(selector.type);
  message.set_value(selector.value);
  return message;
}

Result<int32_t> TtlSeconds(std::string_view text) {
  Result<int64_t> number = WholeNumber(text);
  int64_t seconds;
  if (number.ok()) {
    seconds = *number;
  } else {
    seconds = std::chrono::floor<std::chrono::seconds>(TRY(ParseDuration(text))).count();
  }
  if (seconds < 0 || seconds > std::numeric_limits<int32_t>::max()) {
    return InvalidArgument("'" + Printable(text) + "' is no lifetime; write it like 1h or 90s");
  }
  return static_cast<int32_t>(seconds);
}

Result<int64_t> UnixSeconds(std::string_view text) {
  Result<int64_t> number = WholeNumber(text);
  if (number.ok()) return number;
  std::tm parts{};
  const std::string terminated(text);
  const char* end = strptime(terminated.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  if (end == nullptr || *end != '\0') {
    return InvalidArgument("'" + Printable(text) +
                           "' is no time; write it like 2027-01-31T12:00:00Z");
  }
  return static_cast<int64_t>(timegm(&parts));
}

Status CheckId(std::string_view text) { return IdMessage(text).status(); }
Status CheckSelector(std::string_view text) { return SelectorMessage(text).status(); }
Status CheckTtl(std::string_view text) { return TtlSeconds(text).status(); }
Status CheckTime(std::string_view text) { return UnixSeconds(text).status(); }
Status CheckNotEmpty(std::string_view text) {
  return text.empty() ? InvalidArgument("is empty: is a variable not set?") : OkStatus();
}

Result<std::vector<WireEntry>> EntriesFromFile(std::string_view text, const std::string& name) {
  YamlNode document = TRY(ParseFile(text, name));
  const YamlNode* entries = document.Find("entries");
  if (entries == nullptr) entries = &document;
  std::vector<WireEntry> found;
  if (entries->kind != YamlNode::Kind::kList) {
    found.push_back(TRY(EntryFromNode(*entries, name)));
    return found;
  }
  for (const YamlNode& entry : entries->items) found.push_back(TRY(EntryFromNode(entry, name)));
  if (found.empty()) return InvalidArgument(name + " holds no entry");
  return found;
}

Json EntryJson(const WireEntry& entry) {
  Json json = Json::MakeObject();
  json.Set("id", entry.id());
  json.Set("spiffe_id", IdText(entry.spiffe_id()));
  json.Set("parent_id", IdText(entry.parent_id()));
  json.Set("selectors", SelectorsJson(entry));
  json.Set("x509_svid_ttl", int64_t{entry.x509_svid_ttl()});
  json.Set("jwt_svid_ttl", int64_t{entry.jwt_svid_ttl()});
  json.Set("federates_with", TextsJson(entry.federates_with()));
  json.Set("dns_names", TextsJson(entry.dns_names()));
  json.Set("admin", entry.admin());
  json.Set("downstream", entry.downstream());
  json.Set("store_svid", entry.store_svid());
  json.Set("hint", entry.hint());
  if (entry.has_additional_attributes()) {
    json.Set("additional_attributes", AttributesJson(entry.additional_attributes()));
  }
  json.Set("expires_at", int64_t{entry.expires_at()});
  json.Set("revision_number", int64_t{entry.revision_number()});
  json.Set("created_at", int64_t{entry.created_at()});
  return json;
}

void PrintEntry(std::ostream& out, const WireEntry& entry, Time now) {
  std::vector<std::string> selectors;
  for (const auto& selector : entry.selectors()) {
    selectors.push_back(selector.type() + ":" + selector.value());
  }
  std::vector<std::string> dns(entry.dns_names().begin(), entry.dns_names().end());
  std::vector<std::string> federates(entry.federates_with().begin(),
                                     entry.federates_with().end());
  std::vector<std::string> flags;
  if (entry.admin()) flags.emplace_back("admin");
  if (entry.downstream()) flags.emplace_back("downstream");
  if (entry.store_svid()) flags.emplace_back("store_svid");
  const WireEntry::AdditionalAttributes& attributes = entry.additional_attributes();
  if (attributes.disable_x509_svid_prefetch()) flags.emplace_back("disable_x509_svid_prefetch");
  if (attributes.jwt_svid_include_jti()) flags.emplace_back("jwt_svid_include_jti");
  PrintFields(out, {{"Entry ID", entry.id()},
                    {"SPIFFE ID", IdText(entry.spiffe_id())},
                    {"Parent ID", IdText(entry.parent_id())},
                    {"Selectors", Joined(selectors)},
                    {"X.509-SVID TTL", TtlText(entry.x509_svid_ttl())},
                    {"JWT-SVID TTL", TtlText(entry.jwt_svid_ttl())},
                    {"DNS names", Joined(dns)},
                    {"Federates with", Joined(federates)},
                    {"Hint", entry.hint()},
                    {"Flags", Joined(flags)},
                    {"Expires", entry.expires_at() == 0 ? "" : TimeText(entry.expires_at(), now)},
                    {"Revision", std::to_string(entry.revision_number())},
                    {"Created", TimeText(entry.created_at(), now)}});
}

}  // namespace writ
