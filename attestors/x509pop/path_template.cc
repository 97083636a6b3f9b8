// SPDX-License-Identifier: Apache-2.0
#include "attestors/x509pop/path_template.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/bytes.h"
#include "core/spiffe/id.h"

namespace writ {
namespace {

constexpr std::string_view kOpen = "{{";
constexpr std::string_view kClose = "}}";
constexpr std::string_view kSanPrefix = ".URISanSelectors.";
constexpr std::string_view kSpaces = " \t";
constexpr std::string_view kKnown =
    "use .PluginName, .TrustDomain, .Fingerprint, .SerialNumberHex, .SVIDPathTrimmed, "
    ".Subject.CommonName or .URISanSelectors.<key>";

struct Variable {
  std::string_view name;
  const std::string PathFacts::*fact;
};
constexpr std::array kVariables = {
    Variable{".PluginName", &PathFacts::plugin_name},
    Variable{".TrustDomain", &PathFacts::trust_domain},
    Variable{".Fingerprint", &PathFacts::fingerprint},
    Variable{".SerialNumberHex", &PathFacts::serial_number_hex},
    Variable{".SVIDPathTrimmed", &PathFacts::svid_path_trimmed},
    Variable{".Subject.CommonName", &PathFacts::common_name},
};

// As in Go's templates, where a field's name is an identifier.
bool IsIdentifier(std::string_view text) {
  auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !text.empty() && letter(text.front()) && std::ranges::all_of(text, [&](char c) {
    return letter(c) || (c >= '0' && c <= '9');
  });
}

std::string_view Trim(std::string_view text) {
  size_t begin = text.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpaces) - begin + 1);
}

Status Wrong(size_t column, const std::string& what) {
  return InvalidArgument("column " + std::to_string(column) + ": " + what);
}

// Some value for every variable, to see whether the text between them fits into a path.
PathFacts SampleFacts() {
  return {.plugin_name = "x",
          .trust_domain = "x",
          .fingerprint = "x",
          .serial_number_hex = "x",
          .svid_path_trimmed = "x",
          .common_name = "x"};
}

}  // namespace

Result<PathTemplate::Piece> PathTemplate::ParseVariable(std::string_view name, size_t column) {
  Piece piece;
  for (const Variable& variable : kVariables) {
    if (variable.name != name) continue;
    piece.fact = variable.fact;
    return piece;
  }
  if (name.starts_with(kSanPrefix) && IsIdentifier(name.substr(kSanPrefix.size()))) {
    piece.san_key = name.substr(kSanPrefix.size());
    return piece;
  }
  return Wrong(column,
               "\"" + Printable(name, 60) + "\" is no variable; " + std::string(kKnown));
}

Result<PathTemplate> PathTemplate::Parse(std::string_view text) {
  PathTemplate parsed;
  PathFacts sample = SampleFacts();
  size_t at = text.starts_with('/') ? 1 : 0;
  while (at < text.size()) {
    const size_t open = text.find(kOpen, at);
    if (open != at) {
      Piece literal;
      literal.literal = text.substr(at, open == std::string_view::npos ? open : open - at);
      parsed.pieces_.push_back(std::move(literal));
      at = open;
      continue;
    }
    const size_t inside = open + kOpen.size();
    const size_t close = text.find(kClose, inside);
    if (close == std::string_view::npos) return Wrong(open + 1, "\"{{\" has no \"}}\"");
    Piece piece = TRY(ParseVariable(Trim(text.substr(inside, close - inside)), open + 1));
    if (!piece.san_key.empty()) sample.san_selectors[piece.san_key] = "x";
    parsed.pieces_.push_back(std::move(piece));
    at = close + kClose.size();
  }
  if (parsed.pieces_.empty()) return InvalidArgument("is empty");
  TRY(ValidatePath("/" + TRY(parsed.Expand(sample))), "with x for each variable");
  return parsed;
}

bool PathTemplate::Uses(const std::string PathFacts::*fact) const {
  return std::ranges::any_of(pieces_, [&](const Piece& piece) { return piece.fact == fact; });
}

bool PathTemplate::TellsNodesApart() const {
  return Uses(&PathFacts::fingerprint) || Uses(&PathFacts::serial_number_hex) ||
         Uses(&PathFacts::svid_path_trimmed) || Uses(&PathFacts::common_name) ||
         std::ranges::any_of(pieces_, [](const Piece& piece) { return !piece.san_key.empty(); });
}

Result<std::string> PathTemplate::Expand(const PathFacts& facts) const {
  std::string path;
  for (const Piece& piece : pieces_) {
    if (piece.fact != nullptr) {
      path += facts.*piece.fact;
    } else if (piece.san_key.empty()) {
      path += piece.literal;
    } else {
      auto found = facts.san_selectors.find(piece.san_key);
      if (found == facts.san_selectors.end()) {
        return InvalidArgument("the agent path wants a URI SAN x509pop://" + facts.trust_domain +
                               "/" + piece.san_key + "/<value>, which the certificate lacks");
      }
      path += found->second;
    }
  }
  return path;
}

}  // namespace writ
