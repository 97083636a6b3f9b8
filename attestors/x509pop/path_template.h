// SPDX-License-Identifier: Apache-2.0
//
// PathTemplate: how an agent's path is made of its certificate: literal text and the variables
//   {{ .PluginName }} {{ .TrustDomain }} {{ .Fingerprint }} {{ .SerialNumberHex }}
//   {{ .SVIDPathTrimmed }} {{ .Subject.CommonName }} {{ .URISanSelectors.<key> }}
// of SPIRE's templates. Its functions, pipelines and other fields are refused when it is parsed.
//
// Trust: the template is the operator's, the values are a node's. Threads: a value.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace writ {

// What the variables stand for.
struct PathFacts {
  std::string plugin_name;
  std::string trust_domain;
  std::string fingerprint;
  std::string serial_number_hex;
  std::string svid_path_trimmed;
  std::string common_name;
  std::map<std::string, std::string, std::less<>> san_selectors;
};

class PathTemplate {
 public:
  // InvalidArgument says what is wrong at which column. A slash at the beginning may be left out.
  static Result<PathTemplate> Parse(std::string_view text);

  // The path after /spire/agent/. InvalidArgument when a SAN that the template asks for is missing;
  // whether the result is a path is for the caller to see.
  Result<std::string> Expand(const PathFacts& facts) const;

  bool Uses(const std::string PathFacts::*fact) const;
  // Whether it has a variable that is another for each certificate or SVID, as it should be.
  bool TellsNodesApart() const;

 private:
  struct Piece {
    std::string literal;                         // when neither of the next is set
    const std::string PathFacts::*fact = nullptr;  // a variable of this certificate
    std::string san_key;                         // {{ .URISanSelectors.<san_key> }}
  };
  static Result<Piece> ParseVariable(std::string_view name, size_t column);

  std::vector<Piece> pieces_;
};

}  // namespace writ
