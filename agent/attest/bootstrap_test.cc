// SPDX-License-Identifier: Apache-2.0
#include "agent/attest/bootstrap.h"

#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/base/file.h"
#include "core/crypto/digest.h"
#include "test/fake/fake_clock.h"
#include "test/fake/fake_server.h"
#include "test/support/paths.h"

namespace writ {
namespace {

class BootstrapTest : public testing::Test {
 protected:
  BootstrapTest() {
    fetch_ = [this](const std::string& url, const std::string& ca, size_t) -> Result<std::string> {
      url_ = url;
      ca_ = ca;
      return answer_;
    };
  }
  Result<Bundle> Read(const BootstrapOptions& options) {
    return ReadBootstrapBundle(options, td_, fetch_);
  }

  const TrustDomain td_ = *TrustDomain::Parse("example.org");
  TempDir dir_;
  FakeClock clock_;
  SeededRandom random_{1};
  const Bundle bundle_ = FakeServer(td_, &clock_, &random_).CurrentBundle();
  Result<std::string> answer_ = std::string();
  std::string url_, ca_;
  HttpFetch fetch_;
};

TEST_F(BootstrapTest, ReadsPemAndSpiffeJsonFiles) {
  ASSERT_TRUE(WriteFileAtomic(dir_ / "b.pem", ToPem(bundle_), 0644).ok());
  ASSERT_TRUE(WriteFileAtomic(dir_ / "b.json", ToSpiffeJson(bundle_), 0644).ok());
  for (const char* name : {"b.pem", "b.json"}) {
    Result<Bundle> read = Read({.bundle_file = dir_ / name});
    ASSERT_TRUE(read.ok()) << read.status().ToString();
    EXPECT_EQ(read->x509, bundle_.x509);
  }
}

TEST_F(BootstrapTest, AFileThatIsOfNoUseNeedsTheOperator) {
  EXPECT_EQ(Read({.bundle_file = dir_ / "absent"}).code(), Code::kFailedPrecondition);
  for (const char* text : {"", "{}", "{\"keys\":[]}", "-----BEGIN CERTIFICATE-----"}) {
    ASSERT_TRUE(WriteFileAtomic(dir_ / "bad", text, 0644).ok());
    EXPECT_EQ(Read({.bundle_file = dir_ / "bad"}).code(), Code::kFailedPrecondition) << text;
  }
}

TEST_F(BootstrapTest, FetchesFromTheUrlWithTheGivenRoots) {
  answer_ = ToSpiffeJson(bundle_);
  ASSERT_TRUE(WriteFileAtomic(dir_ / "ca.pem", "the roots", 0644).ok());
  Result<Bundle> read = Read({.bundle_url = "https://x/bundle", .ca_file = dir_ / "ca.pem"});
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_EQ(url_, "https://x/bundle");
  EXPECT_EQ(ca_, "the roots");
  EXPECT_EQ(Read({.bundle_url = "https://x", .ca_file = dir_ / "no"}).code(),
            Code::kFailedPrecondition);
}

TEST_F(BootstrapTest, HoldsTheDocumentToItsPin) {
  answer_ = ToPem(bundle_);
  std::string digest = HexEncode(Sha256(*answer_));
  EXPECT_TRUE(Read({.bundle_url = "https://x", .bundle_sha256 = digest}).ok());
  answer_ = ToPem(bundle_) + "\n";
  Result<Bundle> read = Read({.bundle_url = "https://x", .bundle_sha256 = digest});
  EXPECT_EQ(read.code(), Code::kUnavailable);
  EXPECT_NE(read.status().message().find(digest), std::string::npos);
}

TEST_F(BootstrapTest, AUrlThatGivesNothingOfUseIsTriedAgain) {
  answer_ = Status(Code::kNotFound, "404");
  EXPECT_EQ(Read({.bundle_url = "https://x"}).code(), Code::kUnavailable);
  answer_ = std::string("<html>down</html>");
  EXPECT_EQ(Read({.bundle_url = "https://x"}).code(), Code::kUnavailable);
}

}  // namespace
}  // namespace writ
