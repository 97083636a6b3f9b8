// SPDX-License-Identifier: Apache-2.0
#include "cli/svid_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "core/base/file.h"
#include "core/crypto/key.h"
#include "core/keys/key_manager.h"
#include "test/fake/fake_clock.h"
#include "test/support/paths.h"

namespace writ {
namespace {

unsigned ModeOf(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(stat(path.c_str(), &status), 0) << path;
  return status.st_mode & 07777;
}

class SvidFilesTest : public testing::Test {
 protected:
  SvidFilesTest() {
    FakeClock clock;
    SeededRandom random(1);
    auto key = PrivateKey::Generate(KeyType::kEcP256);
    pkcs8_ = *key->ExportPkcs8();
    auto signer = MakeSoftwareSigner(*std::move(key));
    CertificateTemplate cert{.serial = Serial::Generate(random),
                             .not_before = clock.Now(),
                             .not_after = clock.Now() + std::chrono::hours(1),
                             .uri_sans = {"spiffe://example.org/web"},
                             .is_ca = true};
    chain_.push_back(*Certificate::FromDer(*SignSelfSigned(cert, *signer)));
  }

  Secret pkcs8_;
  std::vector<Certificate> chain_;
  TempDir dir_;
};

TEST_F(SvidFilesTest, KeysAreForTheOwnerAlone) {
  auto written = WriteX509Files(dir_ / "id", 0, chain_, pkcs8_, chain_);
  ASSERT_TRUE(written.ok()) << written.status().ToString();
  EXPECT_EQ(ModeOf(dir_ / "id"), 0700u);
  EXPECT_EQ(ModeOf(dir_ / "id/svid.0.key"), 0600u);
  EXPECT_EQ(ModeOf(dir_ / "id/svid.0.pem"), 0644u);
  ASSERT_TRUE(WriteJwtFile(dir_ / "id", 2, "a.b.c").ok());
  EXPECT_EQ(ModeOf(dir_ / "id/jwt_svid.2.token"), 0600u);
  EXPECT_EQ(*ReadFile(dir_ / "id/jwt_svid.2.token"), "a.b.c");
}

TEST_F(SvidFilesTest, WhatIsWrittenReadsBack) {
  ASSERT_TRUE(WriteX509Files(dir_.path(), 0, chain_, pkcs8_, chain_).ok());
  EXPECT_EQ(*Certificate::FromPem(*ReadFile(dir_ / "svid.0.pem")), chain_);
  std::string pem = *ReadFile(dir_ / "svid.0.key");
  EXPECT_TRUE(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
  EXPECT_TRUE(pem.ends_with("-----END PRIVATE KEY-----\n"));
}

TEST_F(SvidFilesTest, WhatALargerRunLeftBehindIsRemovedAndNothingElse) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(WriteX509Files(dir_.path(), i, chain_, pkcs8_, chain_).ok());
    ASSERT_TRUE(WriteJwtFile(dir_.path(), i, "a.b.c").ok());
  }
  ASSERT_TRUE(WriteFileAtomic(dir_ / "svid.x.key", "mine", 0600).ok());
  ASSERT_TRUE(RemoveX509FilesFrom(dir_.path(), 1).ok());
  EXPECT_TRUE(ReadFile(dir_ / "svid.0.key").ok());
  EXPECT_FALSE(ReadFile(dir_ / "svid.1.key").ok());
  EXPECT_FALSE(ReadFile(dir_ / "bundle.2.pem").ok());
  EXPECT_TRUE(ReadFile(dir_ / "svid.x.key").ok());
  EXPECT_TRUE(ReadFile(dir_ / "jwt_svid.2.token").ok());
  ASSERT_TRUE(RemoveJwtFilesFrom(dir_.path(), 1).ok());
  EXPECT_TRUE(ReadFile(dir_ / "jwt_svid.0.token").ok());
  EXPECT_FALSE(ReadFile(dir_ / "jwt_svid.2.token").ok());
}

}  // namespace
}  // namespace writ
