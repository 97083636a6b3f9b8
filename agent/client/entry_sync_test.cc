// SPDX-License-Identifier: Apache-2.0
#include "agent/client/entry_sync.h"

#include <gtest/gtest.h>

#include <deque>

#include "test/fake/fake_held_entries.h"

namespace writ {
namespace {

namespace entryv1 = spire::api::server::entry::v1;
using Request = entryv1::SyncAuthorizedEntriesRequest;
using Response = entryv1::SyncAuthorizedEntriesResponse;

// Keeps what is written, and gives out what a test has lined up.
class ScriptedStream final : public EntryStream {
 public:
  bool Write(const Request& request, grpc::WriteOptions) override {
    written.push_back(request);
    return true;
  }
  bool Read(Response* response) override {
    if (answers.empty()) return false;
    *response = answers.front();
    if (answers.size() > 1 || !repeats_the_last) answers.pop_front();
    return true;
  }
  bool NextMessageSize(uint32_t*) override { return !answers.empty(); }
  void WaitForInitialMetadata() override {}
  bool WritesDone() override { return true; }
  grpc::Status Finish() override { return grpc::Status::OK; }

  std::vector<Request> written;
  std::deque<Response> answers;
  bool repeats_the_last = false;
};

class EntrySyncTest : public testing::Test {
 protected:
  static void AddEntry(Response& response, const std::string& id, int64_t revision = 0,
                       int64_t created_at = 1) {
    auto* entry = response.add_entries();
    entry->set_id(id);
    entry->mutable_spiffe_id()->set_trust_domain("example.org");
    entry->mutable_spiffe_id()->set_path("/" + id);
    entry->mutable_parent_id()->set_trust_domain("example.org");
    entry->mutable_parent_id()->set_path("/spire/agent/x");
    auto* selector = entry->add_selectors();
    selector->set_type("unix");
    selector->set_value("uid:1");
    entry->set_revision_number(revision);
    entry->set_created_at(created_at);
  }
  static void AddRevision(Response& response, const std::string& id, int64_t revision = 0,
                          int64_t created_at = 1) {
    auto* item = response.add_entry_revisions();
    item->set_id(id);
    item->set_revision_number(revision);
    item->set_created_at(created_at);
  }
  Result<EntryChanges> Run(const FakeHeldEntries& held = {}) {
    return SyncEntryStream(stream_, held, *TrustDomain::Parse("example.org"), malformed_);
  }
  static std::vector<std::string> Ids(const std::vector<PackedEntry>& entries) {
    std::vector<std::string> ids;
    for (const PackedEntry& entry : entries) ids.emplace_back(entry.id());
    return ids;
  }
  using Names = std::vector<std::string>;

  ScriptedStream stream_;
  MalformedEntries malformed_;
};

TEST_F(EntrySyncTest, TakesFewEntriesWholeAndOnlyWhatChanged) {
  Response answer;
  AddEntry(answer, "new");
  AddEntry(answer, "same", 3);
  AddEntry(answer, "updated", 4);
  AddEntry(answer, "recreated", 0, 9);
  stream_.answers = {answer};
  Result<EntryChanges> changes =
      Run({{"same", 3, 1}, {"updated", 3, 1}, {"recreated", 0, 1}, {"gone", 0, 1}});
  ASSERT_TRUE(changes.ok()) << changes.status().ToString();
  EXPECT_EQ(Ids(changes->put), (Names{"new", "recreated", "updated"}));
  EXPECT_EQ(changes->removed, Names{"gone"});
  ASSERT_EQ(stream_.written.size(), 1u);
  EXPECT_TRUE(stream_.written[0].output_mask().revision_number());
  EXPECT_TRUE(stream_.written[0].ids().empty());
}

TEST_F(EntrySyncTest, AsksForStaleEntriesByPagesOfTheFirstPagesLength) {
  Response first, second, entries1, entries2;
  AddRevision(first, "c");
  AddRevision(first, "b");
  first.set_more(true);
  AddRevision(second, "a");
  AddRevision(second, "same", 2);
  AddEntry(entries1, "a");
  AddEntry(entries1, "b");
  AddEntry(entries2, "c");
  stream_.answers = {first, second, entries1, entries2};
  Result<EntryChanges> changes = Run({{"same", 2, 1}, {"gone", 0, 1}});
  ASSERT_TRUE(changes.ok()) << changes.status().ToString();
  EXPECT_EQ(Ids(changes->put), (Names{"a", "b", "c"}));
  EXPECT_EQ(changes->removed, Names{"gone"});
  ASSERT_EQ(stream_.written.size(), 3u);
  EXPECT_EQ(stream_.written[1].ids_size(), 2);
  EXPECT_EQ(stream_.written[2].ids_size(), 1);
}

TEST_F(EntrySyncTest, TakesAnAnswerThatIsSplit) {
  Response revisions, part1, part2;
  AddRevision(revisions, "a");
  AddRevision(revisions, "b");
  AddEntry(part1, "a");
  part1.set_more(true);
  AddEntry(part2, "b");
  stream_.answers = {revisions, part1, part2};
  EXPECT_EQ(Ids(Run()->put), (Names{"a", "b"}));
}

TEST_F(EntrySyncTest, TakesFewEntriesWholeAlsoWhenTheyAreSplit) {
  Response part1, part2;
  AddEntry(part1, "a");
  part1.set_more(true);
  AddEntry(part2, "b");
  stream_.answers = {part1, part2};
  Result<EntryChanges> changes = Run({{"b", 0, 1}, {"gone", 0, 1}});
  ASSERT_TRUE(changes.ok()) << changes.status().ToString();
  EXPECT_EQ(Ids(changes->put), Names{"a"});
  EXPECT_EQ(changes->removed, Names{"gone"});
  EXPECT_EQ(stream_.written.size(), 1u);
}

TEST_F(EntrySyncTest, AnswersWithoutEndAreRefusedAlsoWhenTheyAreMalformed) {
  Response revisions, entries;
  for (int i = 0; i < 100'000; ++i) {
    revisions.add_entry_revisions();
    entries.add_entries();
  }
  stream_.repeats_the_last = true;
  for (Response* endless : {&revisions, &entries}) {
    endless->set_more(true);
    stream_.answers = {*endless};
    EXPECT_EQ(Run().code(), Code::kResourceExhausted);
  }
}

TEST_F(EntrySyncTest, AnEntryThatGoesBetweenRevisionAndRequestIsRemoved) {
  Response revisions, entries;
  AddRevision(revisions, "a", 5);
  AddRevision(revisions, "b");
  AddEntry(entries, "b");
  stream_.answers = {revisions, entries};
  Result<EntryChanges> changes = Run({{"a", 4, 1}});
  EXPECT_EQ(Ids(changes->put), Names{"b"});
  EXPECT_EQ(changes->removed, Names{"a"});
}

TEST_F(EntrySyncTest, NoEntriesMeansThatAllAreGone) {
  stream_.answers = {Response()};
  Result<EntryChanges> changes = Run({{"a", 0, 1}});
  EXPECT_TRUE(changes->put.empty());
  EXPECT_EQ(changes->removed, Names{"a"});
}

TEST_F(EntrySyncTest, LeavesOutMalformedEntries) {
  Response answer;
  AddEntry(answer, "good");
  AddEntry(answer, "");
  AddEntry(answer, "foreign");
  answer.mutable_entries(2)->mutable_spiffe_id()->set_trust_domain("other.org");
  AddEntry(answer, "reserved");
  answer.mutable_entries(3)->mutable_spiffe_id()->set_path("/spire/server");
  AddEntry(answer, "bare");
  answer.mutable_entries(4)->clear_selectors();
  AddEntry(answer, "path");
  answer.mutable_entries(5)->mutable_spiffe_id()->set_path("/a/../b");
  AddEntry(answer, "hint");
  answer.mutable_entries(6)->set_hint(std::string(2000, 'x'));
  stream_.answers = {answer};
  EXPECT_EQ(Ids(Run({{"foreign", 0, 1}})->put), Names{"good"});
  EXPECT_EQ(malformed_.count(), 6u);
}

TEST_F(EntrySyncTest, ASameEntrySentTwiceCountsOnce) {
  Response answer;
  AddEntry(answer, "a");
  AddEntry(answer, "a");
  stream_.answers = {answer};
  EXPECT_EQ(Run()->put.size(), 1u);
}

TEST_F(EntrySyncTest, AStreamThatEndsEarlyChangesNothing) {
  EXPECT_EQ(Run().code(), Code::kUnavailable);
  Response first;
  AddRevision(first, "a");
  first.set_more(true);
  stream_.answers = {first};
  EXPECT_EQ(Run().code(), Code::kUnavailable);
}

TEST_F(EntrySyncTest, AServerThatBreaksTheProtocolIsRefused) {
  Response revisions, mixed, empty;
  AddRevision(revisions, "a");
  revisions.set_more(true);
  AddEntry(mixed, "a");
  stream_.answers = {revisions, mixed};
  EXPECT_EQ(Run().code(), Code::kInternal);
  empty.set_more(true);
  stream_.answers = {revisions, empty};
  EXPECT_EQ(Run().code(), Code::kInternal);
  stream_.answers = {empty};
  EXPECT_EQ(Run().code(), Code::kInternal) << "all would be gone";
  revisions.set_more(false);
  stream_.answers = {revisions, empty};
  EXPECT_EQ(Run().code(), Code::kInternal);
  stream_.answers = {revisions, revisions};
  EXPECT_EQ(Run().code(), Code::kInternal);
}

}  // namespace
}  // namespace writ
