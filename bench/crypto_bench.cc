// SPDX-License-Identifier: Apache-2.0
//
// What issuing costs, operation by operation, next to the raw signature and
// verification that it is measured against. CPU time is the figure to read.
#include <benchmark/benchmark.h>

#include "core/crypto/csr.h"
#include "core/crypto/jws.h"
#include "core/crypto/x509.h"
#include "test/fake/key_signer.h"

namespace writ {
namespace {

constexpr int64_t kNow = 1'790'000'000;

CertificateTemplate Template(bool is_ca) {
  CertificateTemplate cert;
  cert.serial = *Serial::FromDecimal("340282366920938463463374607431768211455");
  cert.subject = {.country = "US", .organization = "Writ"};
  cert.not_before = FromUnixSeconds(kNow - 10);
  cert.not_after = FromUnixSeconds(kNow + 3600);
  cert.uri_sans = {is_ca ? "spiffe://example.org" : "spiffe://example.org/ns/default/sa/db"};
  cert.is_ca = is_ca;
  return cert;
}

// A CA, a workload's key, its CSR, and the leaf made of them.
struct Scene {
  explicit Scene(KeyType type) : ca_key(type) {
    csr = *MakeCsr({.subject = {.organization = "Writ"}}, workload_key);
    leaf_der = *SignCertificate(Template(false), workload_key.Public(), issuer);
  }

  KeySigner ca_key;
  KeySigner workload_key{KeyType::kEcP256};
  Certificate ca = *Certificate::FromDer(*SignSelfSigned(Template(true), ca_key));
  Issuer509 issuer{ca.subject_der(), ca.subject_key_id(), &ca_key};
  std::string csr;
  std::string leaf_der;
};

KeyType TypeOf(const benchmark::State &state) { return static_cast<KeyType>(state.range(0)); }

void EachKeyType(benchmark::internal::Benchmark *bench) {
  for (KeyType type : {KeyType::kEcP256, KeyType::kEcP384, KeyType::kRsa2048}) {
    bench->Arg(static_cast<int>(type));
  }
}

void LabelWithType(benchmark::State &state) {
  state.SetLabel(std::string(KeyTypeName(TypeOf(state))));
}

void BM_RawSign(benchmark::State &state) {
  KeySigner signer(TypeOf(state));
  SignatureScheme scheme = DefaultScheme(signer.Public());
  for (auto _ : state) benchmark::DoNotOptimize(signer.Sign(scheme, "message"));
  LabelWithType(state);
}
BENCHMARK(BM_RawSign)->Apply(EachKeyType);

void BM_RawVerify(benchmark::State &state) {
  KeySigner signer(TypeOf(state));
  SignatureScheme scheme = DefaultScheme(signer.Public());
  std::string signature = *signer.Sign(scheme, "message");
  for (auto _ : state) {
    benchmark::DoNotOptimize(signer.Public().Verify(scheme, "message", signature));
  }
  LabelWithType(state);
}
BENCHMARK(BM_RawVerify)->Apply(EachKeyType);

void BM_GenerateKey(benchmark::State &state) {
  for (auto _ : state) benchmark::DoNotOptimize(PrivateKey::Generate(KeyType::kEcP256));
}
BENCHMARK(BM_GenerateKey);

void BM_ExportPkcs8(benchmark::State &state) {
  PrivateKey key = *PrivateKey::Generate(KeyType::kEcP256);
  for (auto _ : state) benchmark::DoNotOptimize(key.ExportPkcs8());
}
BENCHMARK(BM_ExportPkcs8);

void BM_MakeCsr(benchmark::State &state) {
  KeySigner signer(KeyType::kEcP256);
  CsrTemplate request{.uri_sans = {"spiffe://example.org/db"}};
  for (auto _ : state) benchmark::DoNotOptimize(MakeCsr(request, signer));
}
BENCHMARK(BM_MakeCsr);

void BM_ParseCsr(benchmark::State &state) {
  Scene scene(KeyType::kEcP256);
  for (auto _ : state) benchmark::DoNotOptimize(ParseCsr(scene.csr));
}
BENCHMARK(BM_ParseCsr);

void BM_SignCertificate(benchmark::State &state) {
  Scene scene(TypeOf(state));
  CertificateTemplate leaf = Template(false);
  for (auto _ : state) {
    benchmark::DoNotOptimize(SignCertificate(leaf, scene.workload_key.Public(), scene.issuer));
  }
  LabelWithType(state);
}
BENCHMARK(BM_SignCertificate)->Apply(EachKeyType);

// What one X.509-SVID costs the server, apart from RPC and audit.
void BM_CsrToCertificate(benchmark::State &state) {
  Scene scene(KeyType::kEcP256);
  CertificateTemplate leaf = Template(false);
  for (auto _ : state) {
    Csr csr = *ParseCsr(scene.csr);
    benchmark::DoNotOptimize(SignCertificate(leaf, csr.key, scene.issuer));
  }
}
BENCHMARK(BM_CsrToCertificate);

void BM_ParseCertificate(benchmark::State &state) {
  Scene scene(KeyType::kEcP256);
  for (auto _ : state) benchmark::DoNotOptimize(Certificate::FromDer(scene.leaf_der));
}
BENCHMARK(BM_ParseCertificate);

void BM_VerifyChain(benchmark::State &state) {
  Scene scene(KeyType::kEcP256);
  std::vector<Certificate> roots = {scene.ca};
  for (auto _ : state) {
    std::vector<Certificate> chain = {*Certificate::FromDer(scene.leaf_der)};
    benchmark::DoNotOptimize(VerifyChain(chain, roots, FromUnixSeconds(kNow)));
  }
}
BENCHMARK(BM_VerifyChain);

Json Claims() {
  Json claims = Json::MakeObject();
  claims.Set("aud", Json::Array{Json("api")});
  claims.Set("exp", kNow + 300).Set("iat", kNow).Set("sub", "spiffe://example.org/db");
  return claims;
}

void BM_SignJwt(benchmark::State &state) {
  KeySigner signer(TypeOf(state));
  for (auto _ : state) benchmark::DoNotOptimize(SignJws(Claims(), "key-1", "JWT", signer));
  LabelWithType(state);
}
BENCHMARK(BM_SignJwt)->Apply(EachKeyType);

void BM_ParseAndVerifyJwt(benchmark::State &state) {
  KeySigner signer(KeyType::kEcP256);
  std::string token = *SignJws(Claims(), "key-1", "JWT", signer);
  for (auto _ : state) {
    Jws jws = *ParseJws(token);
    benchmark::DoNotOptimize(VerifyJws(jws, signer.Public()));
  }
}
BENCHMARK(BM_ParseAndVerifyJwt);

}  // namespace
}  // namespace writ
