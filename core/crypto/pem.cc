// SPDX-License-Identifier: Apache-2.0
#include "core/crypto/pem.h"

#include <algorithm>

#include "core/base/bytes.h"
#include "core/base/secret.h"

namespace writ {
namespace {

constexpr std::string_view kBegin = "-----BEGIN ";
constexpr std::string_view kEnd = "-----END ";
constexpr std::string_view kDashes = "-----";
constexpr size_t kLineBytes = 64;

std::string_view TakeLine(std::string_view& text) {
  size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t')) {
    line.remove_suffix(1);
  }
  return line;
}

bool IsMarker(std::string_view line, std::string_view begin) {
  return line.starts_with(begin) && line.ends_with(kDashes) &&
         line.size() > begin.size() + kDashes.size();
}

std::string_view LabelOf(std::string_view line, std::string_view begin) {
  return line.substr(begin.size(), line.size() - begin.size() - kDashes.size());
}

}  // namespace

Result<std::vector<PemBlock>> PemDecode(std::string_view text) {
  std::vector<PemBlock> blocks;
  size_t line_number = 0;
  while (!text.empty()) {
    ++line_number;
    std::string_view line = TakeLine(text);
    if (!IsMarker(line, kBegin)) continue;
    std::string label(LabelOf(line, kBegin));
    size_t begin_line = line_number;
    auto fail = [&](std::string_view what) {
      return InvalidArgument("PEM block \"" + Printable(label, 40) + "\" that begins in line " +
                             std::to_string(begin_line) + ": " + std::string(what));
    };
    std::string body;
    body.reserve(std::min(text.size(), text.find(kEnd)));  // once: a growing one leaves copies
    bool ended = false;
    while (!ended && !text.empty()) {
      ++line_number;
      line = TakeLine(text);
      ended = IsMarker(line, kEnd);
      if (!ended) body += line;
    }
    if (!ended || LabelOf(line, kEnd) != label) return fail("has no end of its own");
    Result<std::string> bytes = Base64Decode(body);
    Wipe(body.data(), body.size());
    if (!bytes.ok()) return fail(bytes.status().message());
    blocks.push_back({std::move(label), std::move(bytes).value()});
  }
  return blocks;
}

std::string PemEncode(std::string_view label, std::string_view bytes) {
  std::string base64 = Base64Encode(bytes);
  std::string text;
  text.reserve(base64.size() + base64.size() / kLineBytes + 2 * label.size() + 64);
  text.append(kBegin).append(label).append(kDashes).append("\n");
  for (size_t at = 0; at < base64.size(); at += kLineBytes) {
    text.append(base64, at, kLineBytes).append("\n");
  }
  text.append(kEnd).append(label).append(kDashes).append("\n");
  Wipe(base64.data(), base64.size());
  return text;
}

}  // namespace writ
