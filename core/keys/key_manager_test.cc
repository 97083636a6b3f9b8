// SPDX-License-Identifier: Apache-2.0
#include "core/keys/key_manager.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/keys/key_manager_conformance.h"
#include "test/support/paths.h"

namespace writ {
namespace {

std::shared_ptr<KeyManager> FreshDiskKeys() {
  struct Place {
    TempDir directory;
    std::unique_ptr<KeyManager> keys;
  };
  auto place = std::make_shared<Place>();
  place->keys = OpenDiskKeys(place->directory / "keys").value();
  return {place, place->keys.get()};
}

INSTANTIATE_TEST_SUITE_P(Memory, KeyManagerConformance, testing::Values([] {
                           return std::shared_ptr<KeyManager>(MakeMemoryKeys());
                         }));
INSTANTIATE_TEST_SUITE_P(Disk, KeyManagerConformance, testing::Values(FreshDiskKeys));

class DiskKeysTest : public testing::Test {
 protected:
  mode_t ModeOf(const std::string& path) {
    struct stat info {};
    EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
    return info.st_mode & 07777;
  }
  std::unique_ptr<KeyManager> Open() { return OpenDiskKeys(directory_).value(); }

  TempDir place_;
  const std::string directory_ = place_ / "keys";
  const std::string file_ = directory_ + "/key.pem";
};

TEST_F(DiskKeysTest, KeepsKeysOverARestart) {
  std::shared_ptr<Signer> ec = Open()->Generate("ec", KeyType::kEcP384).value();
  std::shared_ptr<Signer> rsa = Open()->Generate("rsa", KeyType::kRsa2048).value();
  std::unique_ptr<KeyManager> again = Open();
  EXPECT_EQ(again->List().value(), (std::vector<std::string>{"ec", "rsa"}));
  EXPECT_EQ(again->Get("ec").value()->Public(), ec->Public());
  EXPECT_EQ(again->Get("rsa").value()->Public(), rsa->Public());
}

TEST_F(DiskKeysTest, WritesPkcs8PemForTheOwnerAloneWhateverTheUmask) {
  mode_t before = umask(0);
  ASSERT_TRUE(Open()->Generate("key", KeyType::kEcP256).ok());
  umask(before);
  EXPECT_EQ(ModeOf(directory_), mode_t{0700});
  EXPECT_EQ(ModeOf(file_), mode_t{0600});
  std::string pem = ReadFile(file_).value();
  EXPECT_TRUE(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
  EXPECT_TRUE(pem.ends_with("\n-----END PRIVATE KEY-----\n"));
}

TEST_F(DiskKeysTest, RefusesAKeyFileThatOthersCouldRead) {
  ASSERT_TRUE(Open()->Generate("key", KeyType::kEcP256).ok());
  for (mode_t mode : {0640, 0604, 0620, 0601}) {
    ASSERT_EQ(chmod(file_.c_str(), mode), 0);
    Result<std::shared_ptr<Signer>> got = Open()->Get("key");
    EXPECT_EQ(got.code(), Code::kFailedPrecondition) << mode;
    EXPECT_NE(got.status().message().find("0600"), std::string::npos);
  }
  ASSERT_EQ(chmod(file_.c_str(), 0400), 0);
  EXPECT_TRUE(Open()->Get("key").ok());
}

TEST_F(DiskKeysTest, RefusesADirectoryThatOthersCouldEnter) {
  ASSERT_TRUE(Open()->Generate("key", KeyType::kEcP256).ok());
  ASSERT_EQ(chmod(directory_.c_str(), 0750), 0);
  Result<std::unique_ptr<KeyManager>> opened = OpenDiskKeys(directory_);
  EXPECT_EQ(opened.code(), Code::kFailedPrecondition);
  EXPECT_NE(opened.status().message().find("0700"), std::string::npos);
}

TEST_F(DiskKeysTest, RefusesAnotherOwner) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to give a file to another user";
  ASSERT_TRUE(Open()->Generate("key", KeyType::kEcP256).ok());
  ASSERT_EQ(chown(file_.c_str(), 12345, 12345), 0);
  EXPECT_EQ(Open()->Get("key").code(), Code::kFailedPrecondition);
  ASSERT_EQ(chown(directory_.c_str(), 12345, 12345), 0);
  EXPECT_EQ(OpenDiskKeys(directory_).code(), Code::kFailedPrecondition);
}

TEST_F(DiskKeysTest, RefusesSymbolicLinks) {
  ASSERT_TRUE(Open()->Generate("key", KeyType::kEcP256).ok());
  ASSERT_EQ(rename(file_.c_str(), (place_ / "elsewhere.pem").c_str()), 0);
  ASSERT_EQ(symlink((place_ / "elsewhere.pem").c_str(), file_.c_str()), 0);
  EXPECT_EQ(Open()->Get("key").code(), Code::kFailedPrecondition);

  ASSERT_EQ(symlink(directory_.c_str(), (place_ / "link").c_str()), 0);
  EXPECT_EQ(OpenDiskKeys(place_ / "link").code(), Code::kFailedPrecondition);
}

TEST_F(DiskKeysTest, AKeyReplacedThroughALinkLeavesTheTargetAlone) {
  std::unique_ptr<KeyManager> keys = Open();
  ASSERT_TRUE(WriteFileAtomic(place_ / "target", "untouched", 0600).ok());
  ASSERT_EQ(symlink((place_ / "target").c_str(), file_.c_str()), 0);
  ASSERT_TRUE(keys->Generate("key", KeyType::kEcP256).ok());
  EXPECT_EQ(ReadFile(place_ / "target").value(), "untouched");
  EXPECT_TRUE(keys->Get("key").ok());
}

TEST_F(DiskKeysTest, RemovesWhatACrashLeftAndPassesOverForeignFiles) {
  std::shared_ptr<Signer> key = Open()->Generate("key", KeyType::kEcP256).value();
  std::string stale = directory_ + "/.key.pem.0123456789abcdef.tmp";
  ASSERT_TRUE(WriteFileAtomic(stale, "half a ke", 0600).ok());
  ASSERT_TRUE(WriteFileAtomic(directory_ + "/notes.txt", "hello", 0600).ok());
  ASSERT_TRUE(WriteFileAtomic(directory_ + "/not a key.pem", "hello", 0600).ok());
  std::unique_ptr<KeyManager> keys = Open();
  EXPECT_EQ(ReadFile(stale).code(), Code::kNotFound);
  EXPECT_TRUE(ReadFile(directory_ + "/notes.txt").ok());
  EXPECT_EQ(keys->List().value(), std::vector<std::string>{"key"});
  EXPECT_EQ(keys->Get("key").value()->Public(), key->Public());
}

TEST_F(DiskKeysTest, ADamagedFileIsDataLossAndIsNotQuoted) {
  std::unique_ptr<KeyManager> keys = Open();
  ASSERT_TRUE(keys->Generate("key", KeyType::kEcP256).ok());
  std::string good = ReadFile(file_).value();
  std::string secret = good.substr(40, 30);
  std::string flipped = good;
  flipped[60] = '*';
  for (const std::string& text :
       {std::string(), std::string("-----BEGIN PRIVATE KEY-----\n"), good.substr(0, 60), flipped,
        good + good, good + " ", std::string(100'000, 'A'),
        std::string("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n")}) {
    ASSERT_TRUE(WriteFileAtomic(file_, text, 0600).ok());
    Result<std::shared_ptr<Signer>> got = keys->Get("key");
    EXPECT_EQ(got.code(), Code::kDataLoss);
    EXPECT_EQ(got.status().message().find(secret), std::string::npos);
    EXPECT_NE(got.status().message().find(file_), std::string::npos);
  }
}

TEST_F(DiskKeysTest, ADirectoryInPlaceOfAKeyIsRefused) {
  std::unique_ptr<KeyManager> keys = Open();
  ASSERT_EQ(mkdir(file_.c_str(), 0700), 0);
  EXPECT_EQ(keys->Get("key").code(), Code::kFailedPrecondition);
  EXPECT_FALSE(keys->Generate("key", KeyType::kEcP256).ok());
}

TEST_F(DiskKeysTest, AFileInPlaceOfTheDirectoryIsRefused) {
  ASSERT_TRUE(WriteFileAtomic(directory_, "", 0600).ok());
  EXPECT_FALSE(OpenDiskKeys(directory_).ok());
}

}  // namespace
}  // namespace writ
