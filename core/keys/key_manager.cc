// SPDX-License-Identifier: Apache-2.0
#include "core/keys/key_manager.h"

#include "core/base/bytes.h"

namespace writ {
namespace {

class SoftwareSigner final : public Signer {
 public:
  explicit SoftwareSigner(PrivateKey key) : key_(std::move(key)) {}
  const PublicKey& Public() const override { return key_.Public(); }
  Result<std::string> Sign(SignatureScheme scheme, std::string_view message) override {
    return key_.Sign(scheme, message);
  }

 private:
  const PrivateKey key_;  // immutable
};

}  // namespace

Status ValidateKeyName(std::string_view name) {
  if (name.empty() || name.size() > kKeyNameBytesMax || name.front() == '.') {
    return InvalidArgument("key name \"" + Printable(name) + "\" must have 1 to " +
                           std::to_string(kKeyNameBytesMax) +
                           " characters and must not begin with a dot");
  }
  for (char c : name) {
    bool allowed = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                   c == '.' || c == '_' || c == '-';
    if (allowed) continue;
    return InvalidArgument("key name \"" + Printable(name) +
                           "\" may hold letters, digits, dots, dashes and underscores only");
  }
  return OkStatus();
}

std::shared_ptr<Signer> MakeSoftwareSigner(PrivateKey key) {
  return std::make_shared<SoftwareSigner>(std::move(key));
}

}  // namespace writ
