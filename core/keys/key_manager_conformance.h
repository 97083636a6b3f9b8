// SPDX-License-Identifier: Apache-2.0
//
// What every KeyManager must hold to. A kind's test instantiates the suite:
//   INSTANTIATE_TEST_SUITE_P(Disk, KeyManagerConformance, testing::Values(...));
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/thread.h"
#include "core/keys/key_manager.h"

namespace writ {

// A fresh, empty key manager; what it stands on lives as long as the pointer.
using KeyManagerMaker = std::function<std::shared_ptr<KeyManager>()>;

class KeyManagerConformance : public testing::TestWithParam<KeyManagerMaker> {
 protected:
  static bool Works(Signer& signer) {
    SignatureScheme scheme = DefaultScheme(signer.Public());
    Result<std::string> signature = signer.Sign(scheme, "message");
    return signature.ok() && signer.Public().Verify(scheme, "message", *signature).ok();
  }
  const std::shared_ptr<KeyManager> keys_ = GetParam()();
};

TEST_P(KeyManagerConformance, GetsWhatItGenerated) {
  std::shared_ptr<Signer> made = keys_->Generate("a-key_1.x", KeyType::kEcP256).value();
  std::shared_ptr<Signer> got = keys_->Get("a-key_1.x").value();
  EXPECT_EQ(made->Public(), got->Public());
  EXPECT_TRUE(Works(*made));
  EXPECT_TRUE(Works(*got));
}

TEST_P(KeyManagerConformance, GeneratesEveryType) {
  auto family = [&](KeyType type) {
    return keys_->Generate("key", type).value()->Public().family();
  };
  EXPECT_EQ(family(KeyType::kEcP256), KeyFamily::kEcP256);
  EXPECT_EQ(family(KeyType::kEcP384), KeyFamily::kEcP384);
  EXPECT_EQ(family(KeyType::kRsa2048), KeyFamily::kRsa);
  std::shared_ptr<Signer> big = keys_->Generate("key", KeyType::kRsa4096).value();
  EXPECT_EQ(big->Public().rsa_bits(), 4096);
  EXPECT_TRUE(Works(*keys_->Get("key").value()));
}

TEST_P(KeyManagerConformance, AnUnknownKeyIsNotFound) {
  EXPECT_EQ(keys_->Get("none").code(), Code::kNotFound);
}

TEST_P(KeyManagerConformance, ReplacesAKeyOfTheSameName) {
  std::shared_ptr<Signer> first = keys_->Generate("key", KeyType::kEcP256).value();
  std::shared_ptr<Signer> second = keys_->Generate("key", KeyType::kEcP256).value();
  EXPECT_FALSE(first->Public() == second->Public());
  EXPECT_EQ(keys_->Get("key").value()->Public(), second->Public());
  EXPECT_EQ(keys_->List().value(), std::vector<std::string>{"key"});
}

TEST_P(KeyManagerConformance, ListsNamesInOrder) {
  EXPECT_TRUE(keys_->List().value().empty());
  for (const char* name : {"b", "a.b", "a", "B"}) {
    ASSERT_TRUE(keys_->Generate(name, KeyType::kEcP256).ok());
  }
  EXPECT_EQ(keys_->List().value(), (std::vector<std::string>{"B", "a", "a.b", "b"}));
}

TEST_P(KeyManagerConformance, RemovesOneKeyAndForgivesAnAbsentOne) {
  ASSERT_TRUE(keys_->Generate("a", KeyType::kEcP256).ok());
  ASSERT_TRUE(keys_->Generate("b", KeyType::kEcP256).ok());
  EXPECT_TRUE(keys_->Remove("a").ok());
  EXPECT_TRUE(keys_->Remove("a").ok());
  EXPECT_EQ(keys_->Get("a").code(), Code::kNotFound);
  EXPECT_EQ(keys_->List().value(), std::vector<std::string>{"b"});
}

TEST_P(KeyManagerConformance, SignersOutliveTheirRemoval) {
  std::shared_ptr<Signer> signer = keys_->Generate("key", KeyType::kEcP256).value();
  ASSERT_TRUE(keys_->Remove("key").ok());
  EXPECT_TRUE(Works(*signer));
}

TEST_P(KeyManagerConformance, RefusesNamesThatCouldLeaveItsPlace) {
  for (std::string name : {std::string(), std::string("."), std::string(".."),
                           std::string(".hidden"), std::string("a/b"), std::string("../a"),
                           std::string("a b"), std::string("a\0b", 3), std::string("a\n"),
                           std::string("\xc3\xa9"), std::string(kKeyNameBytesMax + 1, 'a')}) {
    EXPECT_EQ(keys_->Generate(name, KeyType::kEcP256).code(), Code::kInvalidArgument) << name;
    EXPECT_EQ(keys_->Get(name).code(), Code::kInvalidArgument) << name;
    EXPECT_EQ(keys_->Remove(name).code(), Code::kInvalidArgument) << name;
  }
  EXPECT_TRUE(keys_->Generate(std::string(kKeyNameBytesMax, 'a'), KeyType::kEcP256).ok());
}

TEST_P(KeyManagerConformance, RefusesASchemeThatDoesNotFit) {
  std::shared_ptr<Signer> signer = keys_->Generate("key", KeyType::kEcP256).value();
  EXPECT_EQ(signer->Sign(SignatureScheme::kRsaPkcs1Sha256, "m").code(), Code::kInvalidArgument);
}

TEST_P(KeyManagerConformance, ServesManyThreads) {
  constexpr int kThreads = 4;
  std::shared_ptr<Signer> shared = keys_->Generate("shared", KeyType::kEcP256).value();
  std::vector<int> good(kThreads);
  {
    std::vector<Thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back("keys", [this, &shared, &good, i](std::stop_token) {
        std::string name = "key-" + std::to_string(i);
        for (int round = 0; round < 5; ++round) {
          Result<std::shared_ptr<Signer>> own = keys_->Generate(name, KeyType::kEcP256);
          good[i] += own.ok() && Works(**own) && Works(*shared) && keys_->Get(name).ok() &&
                     keys_->List().ok() && keys_->Remove(name).ok();
        }
      });
    }
  }
  EXPECT_EQ(good, std::vector<int>(kThreads, 5));
  EXPECT_EQ(keys_->List().value(), std::vector<std::string>{"shared"});
}

}  // namespace writ
