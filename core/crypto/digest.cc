// SPDX-License-Identifier: Apache-2.0
#include "core/crypto/digest.h"

#include "core/crypto/digest_algorithms.h"
#include "core/crypto/openssl.h"

namespace writ {
namespace {

std::string DigestOf(const EVP_MD* algorithm, std::string_view bytes) {
  std::string digest(static_cast<size_t>(EVP_MD_get_size(algorithm)), '\0');
  CHECK(EVP_Digest(bytes.data(), bytes.size(), AsUnsigned(digest), nullptr, algorithm, nullptr) ==
        1);
  return digest;
}

}  // namespace

// Fetching costs more than a short digest: each algorithm is fetched once in the process's life.
const DigestAlgorithms& FetchedDigests() {
  static const DigestAlgorithms* fetched = [] {
    static DigestAlgorithms algorithms{
        EVP_MD_fetch(nullptr, "SHA1", nullptr), EVP_MD_fetch(nullptr, "SHA256", nullptr),
        EVP_MD_fetch(nullptr, "SHA384", nullptr), EVP_MD_fetch(nullptr, "SHA512", nullptr)};
    CHECK(algorithms.sha1 && algorithms.sha256 && algorithms.sha384 && algorithms.sha512);
    return &algorithms;
  }();
  return *fetched;
}

std::string Sha1(std::string_view bytes) { return DigestOf(FetchedDigests().sha1, bytes); }
std::string Sha256(std::string_view bytes) { return DigestOf(FetchedDigests().sha256, bytes); }

struct Sha256Stream::Rep {
  EvpMdCtxPtr context;
};

Sha256Stream::Sha256Stream() : rep_(std::make_unique<Rep>(Rep{EvpMdCtxPtr(EVP_MD_CTX_new())})) {
  CHECK(EVP_DigestInit_ex2(rep_->context.get(), FetchedDigests().sha256, nullptr) == 1);
}

Sha256Stream::~Sha256Stream() = default;

void Sha256Stream::Update(std::string_view bytes) {
  CHECK(EVP_DigestUpdate(rep_->context.get(), bytes.data(), bytes.size()) == 1);
}

std::string Sha256Stream::Finish() {
  std::string digest(32, '\0');
  CHECK(EVP_DigestFinal_ex(rep_->context.get(), AsUnsigned(digest), nullptr) == 1);
  return digest;
}

}  // namespace writ
