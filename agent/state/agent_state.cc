// SPDX-License-Identifier: Apache-2.0
#include "agent/state/agent_state.h"

#include "core/base/bytes.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/keys/key_manager.h"
#include "core/spiffe/svid.h"

namespace writ {
namespace {

constexpr int64_t kFormat = 1;
constexpr size_t kSvidFileBytesMax = 1 << 20;
constexpr mode_t kFileMode = 0600;  // of everything in the data directory

std::string ToText(const StoredSvid& svid) {
  Json chain = Json::MakeArray();
  for (const Certificate& certificate : svid.chain) chain.Add(Base64Encode(certificate.der()));
  Json file = Json::MakeObject();
  file.Set("format", kFormat);
  file.Set("key", svid.key_name);
  file.Set("reattestable", svid.reattestable);
  file.Set("chain", std::move(chain));
  return file.Dump(true) + "\n";
}

Result<std::vector<Certificate>> ParseChain(const Json* member) {
  const Json::Array* items = member ? member->AsArray() : nullptr;
  if (!items || items->empty()) return DataLoss("no member \"chain\" with certificates");
  std::vector<Certificate> chain;
  for (const Json& item : *items) {
    const std::string* text = item.AsString();
    if (!text) return DataLoss("\"chain\" holds something that is no string");
    chain.push_back(TRY(Certificate::FromDer(TRY(Base64Decode(*text)))));
  }
  return chain;
}

Result<StoredSvid> ParseSvid(std::string_view text, const TrustDomain& td) {
  Json file = TRY(Json::Parse(text));
  const Json* format = file.Find("format");
  if (!format || TRY(format->AsInt64(), "member \"format\"") != kFormat) {
    return DataLoss("it is not of format " + std::to_string(kFormat));
  }
  const Json* key = file.Find("key");
  if (!key || !key->AsString() || key->AsString()->empty() ||
      key->AsString()->size() > kKeyNameBytesMax) {
    return DataLoss("no member \"key\" with a key's name");
  }
  const Json* reattestable = file.Find("reattestable");
  if (!reattestable || !reattestable->AsBool()) return DataLoss("no member \"reattestable\"");
  std::vector<Certificate> chain = TRY(ParseChain(file.Find("chain")));
  StoredSvid svid{*key->AsString(), std::move(chain), *reattestable->AsBool()};
  SpiffeId id = TRY(CheckX509Leaf(svid.chain.front()));
  if (!id.MemberOf(td) || !id.IsAgent()) {
    return DataLoss("the SVID is of " + id.text() + ", no agent of trust domain " + td.name());
  }
  return svid;
}

class FileAgentState final : public AgentState {
 public:
  FileAgentState(const std::string& directory, TrustDomain td, Log* log)
      : svid_path_(directory + "/agent-svid.json"),
        bundle_path_(directory + "/bundle.json"),
        td_(std::move(td)),
        log_(log) {}

  std::optional<StoredSvid> LoadSvid() override {
    auto parse = [this](const std::string& text) { return ParseSvid(text, td_); };
    return Load<StoredSvid>(svid_path_, kSvidFileBytesMax, parse);
  }

  Status StoreSvid(const StoredSvid& svid) override {
    return WriteFileAtomic(svid_path_, ToText(svid), kFileMode)
        .Annotate("store the agent's SVID");
  }

  std::optional<Bundle> LoadBundle() override {
    auto parse = [this](const std::string& text) -> Result<Bundle> {
      Bundle bundle = TRY(FromSpiffeJson(td_, text));
      if (bundle.x509.empty()) return DataLoss("it holds no X.509 authority");
      return bundle;
    };
    return Load<Bundle>(bundle_path_, kFileBytesMax, parse);
  }

  Status StoreBundle(const Bundle& bundle) override {
    return WriteFileAtomic(bundle_path_, ToSpiffeJson(bundle, true), kFileMode)
        .Annotate("store the bundle");
  }

 private:
  template <typename T, typename Parse>
  std::optional<T> Load(const std::string& path, size_t bytes_max, Parse parse) {
    Result<std::string> text = ReadFile(path, bytes_max);
    if (text.code() == Code::kNotFound) return std::nullopt;
    Result<T> parsed = text.ok() ? parse(*text) : Result<T>(text.status());
    if (parsed.ok()) return std::move(parsed).value();
    log_->Warn("A file of the agent's state is of no use; it counts as absent",
               {{"path", path}, {"error", parsed.status()}});
    return std::nullopt;
  }

  // All constant after construction.
  const std::string svid_path_;
  const std::string bundle_path_;
  const TrustDomain td_;
  Log* const log_;
};

}  // namespace

std::unique_ptr<AgentState> MakeFileAgentState(const std::string& directory, TrustDomain td,
                                               Log* log) {
  return std::make_unique<FileAgentState>(directory, std::move(td), log);
}

}  // namespace writ
