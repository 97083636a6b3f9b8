// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include "server/api/api_fixture.h"

namespace writ {
namespace {

using Request = entry_pb::SyncAuthorizedEntriesRequest;
using Response = entry_pb::SyncAuthorizedEntriesResponse;

class EntrySyncTest : public ApiFixture {
 protected:
  void SetUp() override {
    ApiFixture::SetUp();
    AddAgent(kAgentPath);
    call_ = AsAgent();
    sync_ = entries_->SyncAuthorizedEntries();
  }

  void AddEntries(
      size_t count, const std::function<void(Entry&)>& change = [](Entry&) {}) {
    std::vector<Entry> entries;
    for (size_t i = 0; i < count; ++i) {
      entries.push_back({.spiffe_id = Id("/w" + std::to_string(i)),
                         .parent_id = Id(kAgentPath),
                         .selectors = {{"unix", "uid:0"}}});
      change(entries.back());
    }
    auto outcomes = Take(store_.entries().Create(std::move(entries), clock_.Now(),
                                                 [this] { return random_.Uuid(); }));
    for (const EntryOutcome& outcome : outcomes) ids_.push_back(outcome.entry->id);
    std::sort(ids_.begin(), ids_.end());
  }

  // What the server answers to one request; `finished` when it ends the stream.
  std::vector<Response> Ask(const Request& request, bool* finished = nullptr) {
    Status taken = sync_->OnRequest(call_, request);
    EXPECT_TRUE(taken.ok()) << taken.ToString();
    std::vector<Response> responses;
    while (true) {
      Response response;
      auto next = Take(sync_->Answer(call_, &response));
      if (finished != nullptr) *finished = next == EntryApi::Sync::Next::kFinish;
      if (next != EntryApi::Sync::Next::kSend) return responses;
      EXPECT_LE(response.ByteSizeLong(), 1U << 20);
      responses.push_back(response);
    }
  }

  Call call_;
  std::unique_ptr<EntryApi::Sync> sync_;
  std::vector<std::string> ids_;
};

TEST_F(EntrySyncTest, FewEntriesComeWholeAndTheStreamEnds) {
  AddEntries(kEntryPageItems);
  bool finished = false;
  std::vector<Response> responses = Ask({}, &finished);
  ASSERT_EQ(responses.size(), 1u);
  EXPECT_EQ(responses[0].entries_size(), static_cast<int>(kEntryPageItems));
  EXPECT_EQ(responses[0].entry_revisions_size(), 0);
  EXPECT_FALSE(responses[0].more());
  EXPECT_TRUE(finished);
}

TEST_F(EntrySyncTest, NoEntryAtAllIsOneEmptyAnswer) {
  bool finished = false;
  std::vector<Response> responses = Ask({}, &finished);
  ASSERT_EQ(responses.size(), 1u);
  EXPECT_EQ(responses[0].ByteSizeLong(), 0u);
  EXPECT_TRUE(finished);
}

TEST_F(EntrySyncTest, ManyEntriesComeAsRevisionsThenAsAskedFor) {
  AddEntries(kEntryPageItems * 2 + 3);
  std::vector<Response> pages = Ask({});
  ASSERT_EQ(pages.size(), 3u);
  std::vector<std::string> ids;
  for (const Response& page : pages) {
    EXPECT_EQ(page.entries_size(), 0);
    for (const auto& revision : page.entry_revisions()) {
      ids.push_back(revision.id());
      EXPECT_EQ(revision.created_at(), ToUnixSeconds(clock_.Now()));
    }
  }
  EXPECT_EQ(pages[0].entry_revisions_size(), static_cast<int>(kEntryPageItems));
  EXPECT_TRUE(pages[0].more());
  EXPECT_TRUE(pages[1].more());
  EXPECT_FALSE(pages[2].more());
  EXPECT_EQ(ids, ids_);

  Request all;
  for (const std::string& id : ids) all.add_ids(id);
  all.add_ids("unknown");
  std::vector<Response> entries = Ask(all);
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[0].entries_size(), static_cast<int>(kEntryPageItems));
  EXPECT_TRUE(entries[0].more());
  EXPECT_EQ(entries[2].entries_size(), 3);
  EXPECT_FALSE(entries[2].more());

  Request unknown;
  unknown.add_ids("nobody");
  std::vector<Response> empty = Ask(unknown);
  ASSERT_EQ(empty.size(), 1u);
  EXPECT_EQ(empty[0].entries_size(), 0);
  EXPECT_FALSE(empty[0].more());
  EXPECT_TRUE(sync_->OnRequestsDone().ok());
}

TEST_F(EntrySyncTest, ForeignEntriesAreLeftOutEvenWhenAskedFor) {
  AddEntries(kEntryPageItems + 1);
  std::string foreign =
      AddEntry("/foreign", [this](Entry& e) { e.parent_id = Id("/spire/agent/join_token/other"); });
  Ask({});
  Request request;
  request.add_ids(foreign);
  request.add_ids(ids_[0]);
  std::vector<Response> responses = Ask(request);
  ASSERT_EQ(responses.size(), 1u);
  ASSERT_EQ(responses[0].entries_size(), 1);
  EXPECT_EQ(responses[0].entries(0).id(), ids_[0]);
}

TEST_F(EntrySyncTest, FewButHugeEntriesAreCutIntoMessages) {
  AddEntries(12, [](Entry& entry) {
    for (int n = 0; n < 60; ++n) {
      entry.selectors.Insert({"unix", std::to_string(n) + std::string(8000, 'x')});
    }
  });
  std::vector<Response> revisions = Ask({});
  ASSERT_EQ(revisions.size(), 1u);
  EXPECT_EQ(revisions[0].entry_revisions_size(), 12);
  Request all;
  for (const std::string& id : ids_) all.add_ids(id);
  std::vector<Response> responses = Ask(all);
  EXPECT_GT(responses.size(), 1u);
  std::set<std::string> got;
  for (const Response& response : responses) {
    for (const types::Entry& entry : response.entries()) got.insert(entry.id());
  }
  EXPECT_EQ(got.size(), 12u);
  EXPECT_FALSE(responses.back().more());
}

TEST_F(EntrySyncTest, FirstRequestTakesNoIdsAndNeedsTheRevision) {
  Request ids;
  ids.add_ids("x");
  EXPECT_EQ(sync_->OnRequest(call_, ids).code(), Code::kInvalidArgument);
  Request masked;
  masked.mutable_output_mask()->set_spiffe_id(true);
  EXPECT_EQ(sync_->OnRequest(call_, masked).code(), Code::kInvalidArgument);
  masked.mutable_output_mask()->set_revision_number(true);
  EXPECT_TRUE(sync_->OnRequest(call_, masked).ok());
}

TEST_F(EntrySyncTest, AnAgentHasAFewOpenAtATime) {
  std::vector<std::unique_ptr<EntryApi::Sync>> open;
  for (size_t i = 0; i < kSyncsPerAgentMax; ++i) {
    open.push_back(entries_->SyncAuthorizedEntries());
    EXPECT_TRUE(open.back()->OnRequest(call_, {}).ok());
  }
  EXPECT_EQ(sync_->OnRequest(call_, {}).code(), Code::kResourceExhausted);
  open.pop_back();
  EXPECT_TRUE(entries_->SyncAuthorizedEntries()->OnRequest(call_, {}).ok());
}

TEST_F(EntrySyncTest, StreamWithoutARequestIsInvalid) {
  EXPECT_EQ(sync_->OnRequestsDone().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace writ
