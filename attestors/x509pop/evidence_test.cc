// SPDX-License-Identifier: Apache-2.0
#include "attestors/x509pop/evidence.h"

#include <gtest/gtest.h>

#include "attestors/x509pop/pki_fixture.h"
#include "core/base/bytes.h"
#include "core/base/file.h"
#include "core/crypto/digest.h"
#include "test/support/paths.h"

namespace writ {
namespace {

class EvidenceTest : public ::testing::Test {
 protected:
  Certificate Leaf(std::vector<std::string> uris) {
    return pki_.Node("node-1", root_, std::move(uris)).certificate;
  }

  const TrustDomain td_ = *TrustDomain::Parse("example.org");
  FakeClock clock_;
  Pki pki_{&clock_};
  Pki::Issued root_ = pki_.Root("root");
};

TEST_F(EvidenceTest, SelectorsSayWhatTheCertificateSays) {
  Certificate leaf = Leaf({"x509pop://example.org/env/prod", "x509pop://example.org/zone/eu/1"});
  Result<PathFacts> facts = PathFactsOf(leaf, td_, "");
  ASSERT_TRUE(facts.ok());
  EXPECT_EQ(facts->serial_number_hex, "0a0c");
  EXPECT_EQ(facts->fingerprint, HexEncode(Sha1(leaf.der())));
  std::vector<Certificate> above = {root_.certificate};
  EXPECT_EQ(*PopSelectorsOf(leaf, above, *facts),
            (Selectors{{"x509pop", "subject:cn:node-1"},
                       {"x509pop", "ca:fingerprint:" + HexEncode(Sha1(root_.certificate.der()))},
                       {"x509pop", "serialnumber:0a0c"},
                       {"x509pop", "san:env:prod"},
                       {"x509pop", "san:zone:eu/1"}}));
}

TEST_F(EvidenceTest, SansAreReadAsUris) {
  auto sans = *SanSelectorsOf(Leaf({"x509pop://example.org//a/b%20c/?q#f",
                                    "x509pop://example.org/k", "x509pop://example.org/a/later",
                                    "x509pop://other.org/x/y",
                                    "https://example.org/x/y", "x509pop://example.org/e//f"}),
                              td_);
  EXPECT_EQ(sans.size(), 2u);
  EXPECT_EQ(sans["a"], "later");
  EXPECT_EQ(sans["e"], "/f");
  EXPECT_EQ((*SanSelectorsOf(Leaf({"x509pop://example.org/a/b%20c/?q#f"}), td_))["a"], "b c");
}

TEST_F(EvidenceTest, SansThatCannotBeSelectorsAreRefused) {
  for (const char* uri : {"x509pop://example.org/a/%", "x509pop://example.org/a/%g0",
                          "x509pop://example.org/a/%2"}) {
    EXPECT_EQ(PathFactsOf(Leaf({uri}), td_, "").code(), Code::kInvalidArgument) << uri;
  }
  for (const char* uri : {"x509pop://example.org/a/%00", "x509pop://example.org/a/%1b[0m",
                          "x509pop://example.org/%ff/a"}) {
    Certificate leaf = Leaf({uri});
    EXPECT_EQ(PopSelectorsOf(leaf, {}, *PathFactsOf(leaf, td_, "")).code(), Code::kInvalidArgument)
        << uri;
  }
}

TEST_F(EvidenceTest, TheClientsAddressMustBeASan) {
  std::string pem = *ReadFile(SourcePath("test/golden/x509pop/addresses.pem"));
  Certificate leaf = Certificate::FromPem(pem)->front();
  for (const char* address : {"10.1.2.3", "::ffff:10.1.2.3", "fd00::1", "fd00:0:0::1"}) {
    EXPECT_TRUE(CheckClientAddress(leaf, address).ok()) << address;
  }
  for (const char* address : {"10.1.2.4", "::10.1.2.3", "fd00::2", "127.0.0.1"}) {
    EXPECT_EQ(CheckClientAddress(leaf, address).code(), Code::kPermissionDenied) << address;
  }
  EXPECT_EQ(CheckClientAddress(leaf, "").code(), Code::kInternal);
  EXPECT_EQ(CheckClientAddress(leaf, "node").code(), Code::kInternal);
  EXPECT_EQ(CheckClientAddress(Leaf({}), "10.1.2.3").code(), Code::kPermissionDenied);
}

}  // namespace
}  // namespace writ
