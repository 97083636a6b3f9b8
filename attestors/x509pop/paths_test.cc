// SPDX-License-Identifier: Apache-2.0
#include "attestors/x509pop/paths.h"

#include <gtest/gtest.h>

#include "attestors/x509pop/pki_fixture.h"

namespace writ {
namespace {

class PathsTest : public ::testing::Test {
 protected:
  Result<std::vector<Certificate>> Above(std::vector<Certificate> chain,
                                         std::vector<Certificate> roots) {
    return AuthoritiesAbove(chain, roots, clock_.Now());
  }

  FakeClock clock_;
  Pki pki_{&clock_};
  Pki::Issued root_ = pki_.Root("root");
  Pki::Issued middle_ = pki_.Intermediate("middle", root_);
  Pki::Issued leaf_ = pki_.Node("node", middle_);
};

using Certificates = std::vector<Certificate>;

TEST_F(PathsTest, NamesTheIntermediateAndTheRoot) {
  EXPECT_EQ(*Above({leaf_.certificate, middle_.certificate}, {root_.certificate}),
            (Certificates{middle_.certificate, root_.certificate}));
}

TEST_F(PathsTest, ARootThatIsSentAlongCountsOnce) {
  EXPECT_EQ(*Above({leaf_.certificate, root_.certificate, middle_.certificate, middle_.certificate},
                   {root_.certificate, root_.certificate}),
            (Certificates{middle_.certificate, root_.certificate}));
}

TEST_F(PathsTest, CrossSignedAuthoritiesAreAllThere) {
  Pki::Issued other_root = pki_.Root("other");
  Pki::Issued cross = pki_.Intermediate("middle", other_root, middle_.key);
  Result<Certificates> above =
      Above({leaf_.certificate, middle_.certificate, cross.certificate},
            {root_.certificate, other_root.certificate});
  ASSERT_TRUE(above.ok());
  EXPECT_EQ(above->size(), 4u);
  // An anchor in the middle ends a path too.
  EXPECT_EQ(*Above({leaf_.certificate, middle_.certificate}, {middle_.certificate}),
            (Certificates{middle_.certificate}));
}

TEST_F(PathsTest, APathThatHoldsIsFoundBesideOneThatDoesNot) {
  pki_.life = -std::chrono::minutes(1);
  Pki::Issued expired = pki_.Intermediate("middle", root_, middle_.key);
  EXPECT_EQ(*Above({leaf_.certificate, expired.certificate, middle_.certificate},
                   {root_.certificate}),
            (Certificates{middle_.certificate, root_.certificate}));
}

TEST_F(PathsTest, NamesMayBeTheSameOrEmpty) {
  for (const char* name : {"", "acme"}) {
    Pki::Issued root = pki_.Root(name);
    Pki::Issued middle = pki_.Intermediate(name, root);
    for (const char* node : {"node", name}) {
      Pki::Issued leaf = pki_.Node(node, middle);
      EXPECT_EQ(*Above({leaf.certificate, middle.certificate},
                       {pki_.Root(name).certificate, root.certificate}),
                (Certificates{middle.certificate, root.certificate}));
      EXPECT_EQ(Above({leaf.certificate, middle.certificate}, {pki_.Root(name).certificate}).code(),
                Code::kPermissionDenied);
      EXPECT_EQ(Above({leaf.certificate}, {root.certificate}).code(), Code::kPermissionDenied);
    }
    EXPECT_EQ(Above({pki_.Root(name).certificate}, {root.certificate}).code(),
              Code::kPermissionDenied);
  }
}

TEST_F(PathsTest, ALeafThatIsARootHasNothingAbove) {
  EXPECT_TRUE(Above({root_.certificate}, {root_.certificate})->empty());
}

TEST_F(PathsTest, WithoutAValidPathItIsDenied) {
  EXPECT_EQ(Above({leaf_.certificate}, {root_.certificate}).code(), Code::kPermissionDenied);
  EXPECT_EQ(Above({leaf_.certificate, middle_.certificate}, {}).code(), Code::kPermissionDenied);
  EXPECT_EQ(Above({leaf_.certificate, middle_.certificate}, {pki_.Root("root").certificate}).code(),
            Code::kPermissionDenied);
  EXPECT_EQ(Above({}, {root_.certificate}).code(), Code::kInvalidArgument);
  clock_.Advance(std::chrono::hours(2));
  EXPECT_EQ(Above({leaf_.certificate, middle_.certificate}, {root_.certificate}).code(),
            Code::kPermissionDenied);
}

TEST_F(PathsTest, ANodeMayNotVouchForOthers) {
  Pki::Issued impostor = pki_.Node("victim", leaf_);
  EXPECT_EQ(Above({impostor.certificate, leaf_.certificate, middle_.certificate},
                  {root_.certificate}).code(),
            Code::kPermissionDenied);
}

TEST_F(PathsTest, TheSearchIsBoundedWhereAllNamesAreTheSame) {
  Pki::Issued loop = pki_.Root("a");
  Certificates chain = {pki_.Node("a", loop).certificate};
  for (int i = 0; i < 9; ++i) {
    chain.push_back(pki_.Intermediate("a", loop, loop.key).certificate);
  }
  Certificates roots;
  for (int i = 0; i < 50; ++i) roots.push_back(pki_.Root("a").certificate);
  EXPECT_EQ(Above(chain, roots).code(), Code::kPermissionDenied);
}

}  // namespace
}  // namespace writ
