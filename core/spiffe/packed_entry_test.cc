// SPDX-License-Identifier: Apache-2.0
#include "core/spiffe/packed_entry.h"

#include <gtest/gtest.h>

#include <limits>
#include <utility>

namespace writ {
namespace {

Entry Plain() {
  return Entry{.id = "a",
               .spiffe_id = *SpiffeId::Parse("spiffe://example.org/a"),
               .parent_id = *SpiffeId::Parse("spiffe://example.org/spire/agent/x"),
               .selectors = {{"unix", "uid:1"}}};
}

Entry Full() {
  return Entry{.id = std::string(kEntryIdBytesMax, 'i'),
               .spiffe_id = *SpiffeId::Parse("spiffe://example.org/" + std::string(2000, 'p')),
               .parent_id = *SpiffeId::Parse("spiffe://example.org/parent"),
               .selectors = {{"unix", "uid:1"}, {"k8s", std::string(8000, 'v')}, {"k8s", "ns:x"}},
               .x509_ttl_seconds = std::numeric_limits<int32_t>::max(),
               .jwt_ttl_seconds = -1,
               .federates_with = {"one.org", "two.org"},
               .admin = true,
               .downstream = true,
               .expires_at = std::numeric_limits<int64_t>::max(),
               .dns_names = {"z.example.org", "a.example.org"},
               .revision = 12,
               .store_svid = true,
               .hint = std::string(kHintBytesMax, 'h'),
               .created_at = -5,
               .has_additional_attributes = true,
               .disable_x509_svid_prefetch = true,
               .jwt_svid_include_jti = true};
}

TEST(PackedEntryTest, GivesBackTheEntryThatItWasMadeOf) {
  EXPECT_EQ(PackedEntry(Plain()).Unpack(), Plain());
  EXPECT_EQ(PackedEntry(Full()).Unpack(), Full());
}

TEST(PackedEntryTest, KeepsParentsOfAllKinds) {
  for (const char* parent : {"spiffe://example.org", "spiffe://example.org/spire/server",
                             "spiffe://other.org", "spiffe://other.org/a"}) {
    Entry entry = Plain();
    entry.parent_id = *SpiffeId::Parse(parent);
    EXPECT_EQ(PackedEntry(entry).Unpack(), entry);
  }
}

TEST(PackedEntryTest, KeepsEachFlagApart) {
  for (bool Entry::*flag :
       {&Entry::admin, &Entry::downstream, &Entry::store_svid, &Entry::has_additional_attributes,
        &Entry::disable_x509_svid_prefetch, &Entry::jwt_svid_include_jti}) {
    Entry entry = Plain();
    entry.*flag = true;
    EXPECT_EQ(PackedEntry(entry).Unpack(), entry);
    EXPECT_NE(PackedEntry(entry), PackedEntry(Plain()));
  }
}

TEST(PackedEntryTest, TellsWhatIsAskedOften) {
  const PackedEntry packed = Full();
  EXPECT_EQ(packed.id(), Full().id);
  EXPECT_EQ(packed.spiffe_id(), Full().spiffe_id);
  EXPECT_EQ(packed.revision(), 12);
  EXPECT_EQ(packed.created_at(), -5);
  EXPECT_TRUE(packed.store_svid());
  EXPECT_TRUE(packed.disable_x509_svid_prefetch());
  EXPECT_FALSE(PackedEntry(Plain()).store_svid());
  EXPECT_FALSE(PackedEntry(Plain()).disable_x509_svid_prefetch());
  ASSERT_EQ(packed.selectors().size(), 3u);
  EXPECT_EQ(packed.selectors()[0], (SelectorView{"k8s", "ns:x"}));
  EXPECT_EQ(packed.selectors()[2], (SelectorView{"unix", "uid:1"}));
}

TEST(PackedEntryTest, CountsTheSelectorsThatAreMissing) {
  const PackedEntry packed = Full();  // k8s:ns:x, k8s:vv..., unix:uid:1
  EXPECT_EQ(CountMissing(packed.selectors(), Full().selectors), 0u);
  EXPECT_EQ(CountMissing(packed.selectors(), {}), 3u);
  EXPECT_EQ(CountMissing(packed.selectors(), {{"a", "b"}, {"k8s", "ns:x"}, {"z", "z"}}), 2u);
  EXPECT_EQ(CountMissing(packed.selectors(), {{"unix", "uid:1"}, {"unix", "uid:2"}}), 2u);
  EXPECT_EQ(CountMissing({}, {{"unix", "uid:1"}}), 0u);
}

TEST(PackedEntryTest, ExpiresAsTheEntryDoes) {
  Entry entry = Plain();
  EXPECT_FALSE(PackedEntry(entry).ExpiredAt(Time::max()));
  entry.expires_at = 100;
  EXPECT_FALSE(PackedEntry(entry).ExpiredAt(FromUnixSeconds(100)));
  EXPECT_TRUE(PackedEntry(entry).ExpiredAt(FromUnixSeconds(101)));
}

TEST(PackedEntryTest, ACopyIsEqualAndItsOwn) {
  PackedEntry first = Full();
  PackedEntry second = first;
  first = Plain();
  EXPECT_EQ(second.Unpack(), Full());
  EXPECT_EQ(first, PackedEntry(Plain()));
  const PackedEntry third = std::move(second);
  EXPECT_EQ(third.Unpack(), Full());
}

}  // namespace
}  // namespace writ
