// SPDX-License-Identifier: Apache-2.0
#include "server/api/entry_api.h"

#include <set>

#include "server/api/api_fixture.h"

namespace writ {
namespace {

class EntryApiTest : public ApiFixture {
 protected:
  entry_pb::BatchCreateEntryResponse Create(const std::vector<types::Entry>& entries) {
    entry_pb::BatchCreateEntryRequest request;
    for (const types::Entry& entry : entries) *request.add_entries() = entry;
    Call call = AsLocal();
    return Take(entries_->BatchCreateEntry(call, request));
  }
  types::Entry CreateOne(const types::Entry& entry) {
    entry_pb::BatchCreateEntryResponse response = Create({entry});
    EXPECT_EQ(response.results(0).status().code(), 0) << response.results(0).status().message();
    return response.results(0).entry();
  }
  types::Status UpdateOne(const types::Entry& entry, const types::EntryMask* mask,
                          types::Entry* updated = nullptr) {
    entry_pb::BatchUpdateEntryRequest request;
    *request.add_entries() = entry;
    if (mask != nullptr) *request.mutable_input_mask() = *mask;
    Call call = AsLocal();
    auto response = Take(entries_->BatchUpdateEntry(call, request));
    if (updated != nullptr) *updated = response.results(0).entry();
    return response.results(0).status();
  }
  entry_pb::ListEntriesResponse List(const entry_pb::ListEntriesRequest& request) {
    Call call = AsLocal();
    return Take(entries_->ListEntries(call, request));
  }
  int Count(const std::function<void(entry_pb::CountEntriesRequest::Filter*)>& set) {
    entry_pb::CountEntriesRequest request;
    set(request.mutable_filter());
    Call call = AsLocal();
    return Take(entries_->CountEntries(call, request)).count();
  }
};

TEST_F(EntryApiTest, CreatedEntryHasIdRevisionAndCreationTime) {
  types::Entry wanted = NewEntry("/web");
  wanted.set_x509_svid_ttl(60);
  wanted.set_jwt_svid_ttl(30);
  wanted.add_dns_names("b.example.org");
  wanted.add_dns_names("a.example.org");
  wanted.set_hint("external");
  wanted.set_admin(true);
  wanted.mutable_additional_attributes()->set_jwt_svid_include_jti(true);
  types::Entry made = CreateOne(wanted);
  EXPECT_EQ(made.id().size(), 36u);
  EXPECT_EQ(made.revision_number(), 0);
  EXPECT_EQ(made.created_at(), ToUnixSeconds(clock_.Now()));
  EXPECT_EQ(made.dns_names(0), "b.example.org");
  wanted.set_id(made.id());
  wanted.set_created_at(made.created_at());
  EXPECT_EQ(made.SerializeAsString(), wanted.SerializeAsString());

  entry_pb::GetEntryRequest get;
  get.set_id(made.id());
  Call call = AsLocal();
  EXPECT_EQ(Take(entries_->GetEntry(call, get)).SerializeAsString(), made.SerializeAsString());
}

TEST_F(EntryApiTest, SimilarEntryIsAnsweredWithTheExistingOne) {
  types::Entry made = CreateOne(NewEntry("/web"));
  types::Entry again = NewEntry("/web");
  again.set_x509_svid_ttl(99);
  auto response = Create({again, NewEntry("/other")});
  EXPECT_EQ(response.results(0).status().code(), static_cast<int>(Code::kAlreadyExists));
  EXPECT_EQ(response.results(0).entry().id(), made.id());
  EXPECT_EQ(response.results(0).entry().x509_svid_ttl(), 0);
  EXPECT_EQ(response.results(1).status().code(), 0);
}

struct BadEntry {
  const char* what;
  std::function<void(types::Entry&)> spoil;
  const char* message;
};

TEST_F(EntryApiTest, EachBadFieldIsInvalidArgumentForItsItemAlone) {
  const BadEntry bad[] = {
      {"no SPIFFE ID", [](auto& e) { e.clear_spiffe_id(); }, "invalid spiffe ID"},
      {"no parent", [](auto& e) { e.clear_parent_id(); }, "invalid parent ID"},
      {"foreign SPIFFE ID", [](auto& e) { SetId(e.mutable_spiffe_id(), "/web", "other.org"); },
       "not a member of trust domain"},
      {"foreign parent", [](auto& e) { SetId(e.mutable_parent_id(), "/node", "other.org"); },
       "not a member of trust domain"},
      {"reserved SPIFFE ID", [](auto& e) { SetId(e.mutable_spiffe_id(), "/spire/x"); },
       "reserved namespace"},
      {"no path", [](auto& e) { SetId(e.mutable_spiffe_id(), ""); }, "path is empty"},
      {"no slash", [](auto& e) { SetId(e.mutable_spiffe_id(), "web"); }, "invalid spiffe ID"},
      {"dot segment", [](auto& e) { SetId(e.mutable_spiffe_id(), "/a/../b"); },
       "invalid spiffe ID"},
      {"uppercase trust domain",
       [](auto& e) { SetId(e.mutable_spiffe_id(), "/web", "Example.org"); }, "invalid spiffe ID"},
      {"long path", [](auto& e) { SetId(e.mutable_spiffe_id(), "/" + std::string(3000, 'a')); },
       "invalid spiffe ID"},
      {"no selectors", [](auto& e) { e.clear_selectors(); }, "selector list is empty"},
      {"selector without type", [](auto& e) { AddSelector(&e, "", "x"); }, "failed to convert"},
      {"selector without value", [](auto& e) { AddSelector(&e, "unix", ""); }, "failed to convert"},
      {"selector type with colon", [](auto& e) { AddSelector(&e, "a:b", "x"); },
       "failed to convert"},
      {"too many selectors",
       [](auto& e) {
         for (size_t i = 0; i <= kSelectorsMax; ++i) AddSelector(&e, "unix", std::to_string(i));
       },
       "at most"},
      {"bad DNS name", [](auto& e) { e.add_dns_names("a..b"); }, "invalid DNS name"},
      {"too many DNS bytes",
       [](auto& e) {
         const std::string label(60, 'a');
         for (int n = 0; n < 200; ++n) {
           e.add_dns_names("n" + std::to_string(n) + "." + label + "." + label + "." + label);
         }
       },
       "bytes together"},
      {"larger than other entries leave room for",
       [](auto& e) {
         for (int n = 0; n < 70; ++n) {
           AddSelector(&e, "unix", std::to_string(n) + std::string(8000, 'x'));
         }
       },
       "divide its selectors"},
      {"two wildcards", [](auto& e) { e.add_dns_names("*.*.b"); }, "invalid DNS name"},
      {"DNS name not ASCII",
       [](auto& e) {
         e.add_dns_names(
             "b\xc3\xbc"
             "cher.de");
       },
       "invalid DNS name"},
      {"negative X.509 TTL", [](auto& e) { e.set_x509_svid_ttl(-1); }, "TTL"},
      {"negative JWT TTL", [](auto& e) { e.set_jwt_svid_ttl(-1); }, "TTL"},
      {"long hint", [](auto& e) { e.set_hint(std::string(1025, 'h')); }, "hint is too long"},
      {"bad ID", [](auto& e) { e.set_id("a b"); }, "failed to convert"},
      {"long ID", [](auto& e) { e.set_id(std::string(256, 'a')); }, "failed to convert"},
      {"unknown federation", [](auto& e) { e.add_federates_with("other.org"); },
       "unable to find federated bundle \"spiffe://other.org\""},
      {"own federation", [](auto& e) { e.add_federates_with("example.org"); }, "own trust domain"},
      {"bad federation", [](auto& e) { e.add_federates_with("Other"); },
       "invalid federated trust domain"},
      {"mixed types of a stored SVID",
       [](auto& e) {
         e.set_store_svid(true);
         AddSelector(&e, "k8s", "ns:a");
       },
       "selector types must be the same"},
  };
  for (const BadEntry& one : bad) {
    types::Entry entry = NewEntry("/bad");
    one.spoil(entry);
    auto response = Create({entry, NewEntry("/good")});
    EXPECT_EQ(response.results(0).status().code(), static_cast<int>(Code::kInvalidArgument))
        << one.what;
    EXPECT_NE(response.results(0).status().message().find(one.message), std::string::npos)
        << one.what << ": " << response.results(0).status().message();
    EXPECT_FALSE(response.results(0).has_entry()) << one.what;
    EXPECT_NE(response.results(1).status().code(), static_cast<int>(Code::kInvalidArgument));
  }
}

TEST_F(EntryApiTest, UpdateChangesWhatTheMaskNamesAndGrowsTheRevision) {
  types::Entry made = CreateOne(NewEntry("/web"));
  types::Entry change;
  change.set_id(made.id());
  change.set_hint("h");
  change.set_x509_svid_ttl(77);  // not in the mask
  types::EntryMask mask;
  mask.set_hint(true);
  types::Entry updated;
  EXPECT_EQ(UpdateOne(change, &mask, &updated).code(), 0);
  EXPECT_EQ(updated.hint(), "h");
  EXPECT_EQ(updated.x509_svid_ttl(), 0);
  EXPECT_EQ(updated.revision_number(), 1);
  EXPECT_EQ(updated.spiffe_id().path(), "/web");

  types::Entry whole = NewEntry("/web2");
  whole.set_id(made.id());
  EXPECT_EQ(UpdateOne(whole, nullptr, &updated).code(), 0);
  EXPECT_EQ(updated.hint(), "");
  EXPECT_EQ(updated.spiffe_id().path(), "/web2");
  EXPECT_EQ(updated.revision_number(), 2);
}

TEST_F(EntryApiTest, UpdateRefusesWhatBreaksTheWholeAndWhatIsNotThere) {
  types::Entry wanted = NewEntry("/web");
  AddSelector(&wanted, "k8s", "ns:a");
  types::Entry change = CreateOne(wanted);
  change.set_store_svid(true);
  types::EntryMask mask;
  mask.set_store_svid(true);
  EXPECT_EQ(UpdateOne(change, &mask).code(), static_cast<int>(Code::kInvalidArgument));
  change.set_id("nobody");
  EXPECT_EQ(UpdateOne(change, &mask).code(), static_cast<int>(Code::kNotFound));
  change.set_id("");
  const types::Status unnamed = UpdateOne(change, &mask);
  EXPECT_EQ(unnamed.code(), static_cast<int>(Code::kNotFound));
  EXPECT_EQ(unnamed.message(), "failed to update entry: missing entry ID");
  mask.set_selectors(true);
  change.clear_selectors();
  EXPECT_EQ(UpdateOne(change, &mask).code(), static_cast<int>(Code::kInvalidArgument));
}

TEST_F(EntryApiTest, DeleteAnswersItemByItem) {
  types::Entry made = CreateOne(NewEntry("/web"));
  entry_pb::BatchDeleteEntryRequest request;
  request.add_ids(made.id());
  request.add_ids("nobody");
  request.add_ids("");
  Call call = AsLocal();
  auto response = Take(entries_->BatchDeleteEntry(call, request));
  EXPECT_EQ(response.results(0).status().code(), 0);
  EXPECT_EQ(response.results(0).id(), made.id());
  EXPECT_EQ(response.results(1).status().code(), static_cast<int>(Code::kNotFound));
  EXPECT_EQ(response.results(1).status().message(), "entry not found");
  EXPECT_EQ(response.results(2).status().code(), static_cast<int>(Code::kInvalidArgument));
  EXPECT_FALSE(registry_->GetEntry(made.id()).has_value());
}

TEST_F(EntryApiTest, EveryItemOfAWriteIsRecorded) {
  entry_pb::BatchCreateEntryRequest request;
  *request.add_entries() = NewEntry("/web");
  request.add_entries();
  Call call = AsLocal();
  auto response = Take(entries_->BatchCreateEntry(call, request));
  ASSERT_EQ(call.events.size(), 2u);
  std::set<std::string> outcomes;
  for (const AuditEvent& event : call.events) {
    EXPECT_EQ(event.action, "entry.create");
    EXPECT_EQ(event.actor, "unix:uid:0");
    outcomes.insert(event.outcome);
  }
  EXPECT_EQ(outcomes, (std::set<std::string>{"INVALID_ARGUMENT", "ok"}));
}

TEST_F(EntryApiTest, StoreFailureIsEachItemsStatus) {
  store_.FailWrites(Unavailable("the disk is full"));
  auto response = Create({NewEntry("/a"), NewEntry("/b")});
  for (const auto& result : response.results()) {
    EXPECT_EQ(result.status().code(), static_cast<int>(Code::kUnavailable));
    EXPECT_NE(result.status().message().find("the disk is full"), std::string::npos);
  }
}

TEST_F(EntryApiTest, FiltersNarrowAndBadOnesAreRefused) {
  CreateOne(NewEntry("/a"));
  types::Entry down = NewEntry("/b");
  down.set_downstream(true);
  down.set_hint("h");
  AddSelector(&down, "unix", "gid:5");
  CreateOne(down);
  using Filter = entry_pb::CountEntriesRequest::Filter;
  EXPECT_EQ(Count([](Filter*) {}), 2);
  EXPECT_EQ(Count([](Filter* f) { SetId(f->mutable_by_spiffe_id(), "/a"); }), 1);
  EXPECT_EQ(Count([](Filter* f) { SetId(f->mutable_by_parent_id(), kAgentPath); }), 2);
  EXPECT_EQ(Count([](Filter* f) { f->mutable_by_hint()->set_value("h"); }), 1);
  EXPECT_EQ(Count([](Filter* f) { f->mutable_by_hint()->set_value(""); }), 2);
  EXPECT_EQ(Count([](Filter* f) { f->mutable_by_downstream()->set_value(true); }), 1);
  EXPECT_EQ(Count([](Filter* f) { f->mutable_by_downstream()->set_value(false); }), 1);
  auto selector = [](types::SelectorMatch::MatchBehavior match) {
    return [match](Filter* f) {
      f->mutable_by_selectors()->set_match(match);
      types::Selector* s = f->mutable_by_selectors()->add_selectors();
      s->set_type("unix");
      s->set_value("uid:1000");
    };
  };
  EXPECT_EQ(Count(selector(types::SelectorMatch::MATCH_EXACT)), 1);
  EXPECT_EQ(Count(selector(types::SelectorMatch::MATCH_SUPERSET)), 2);
  EXPECT_EQ(Count(selector(types::SelectorMatch::MATCH_ANY)), 2);

  const std::function<void(Filter*)> bad[] = {
      [](Filter* f) { SetId(f->mutable_by_spiffe_id(), "/a", "other.org"); },
      [](Filter* f) { SetId(f->mutable_by_spiffe_id(), "/spire/agent/x"); },
      [](Filter* f) { f->mutable_by_parent_id(); },
      [](Filter* f) { f->mutable_by_selectors(); },
      [](Filter* f) { f->mutable_by_selectors()->add_selectors(); },
      [&](Filter* f) { selector(static_cast<types::SelectorMatch::MatchBehavior>(9))(f); },
      [](Filter* f) { f->mutable_by_federates_with(); },
      [](Filter* f) { f->mutable_by_federates_with()->add_trust_domains("BAD"); },
  };
  for (const auto& set : bad) {
    entry_pb::CountEntriesRequest request;
    set(request.mutable_filter());
    Call call = AsLocal();
    EXPECT_EQ(entries_->CountEntries(call, request).code(), Code::kInvalidArgument)
        << request.ShortDebugString();
  }
}

TEST_F(EntryApiTest, PagesFollowOneAnotherWithoutGapsOrRepeats) {
  std::vector<std::string> made;
  for (int i = 0; i < 25; ++i) made.push_back(CreateOne(NewEntry("/w" + std::to_string(i))).id());
  std::vector<std::string> listed;
  entry_pb::ListEntriesRequest request;
  request.set_page_size(10);
  int pages = 0;
  do {
    entry_pb::ListEntriesResponse page = List(request);
    EXPECT_LE(page.entries_size(), 10);
    for (const types::Entry& entry : page.entries()) listed.push_back(entry.id());
    request.set_page_token(page.next_page_token());
    ++pages;
  } while (!request.page_token().empty());
  EXPECT_EQ(pages, 3);
  EXPECT_EQ(listed, made);

  for (const char* token : {"no such token!", "12x", "99999999999999999999"}) {
    request.set_page_token(token);
    Call call = AsLocal();
    EXPECT_EQ(entries_->ListEntries(call, request).code(), Code::kInvalidArgument) << token;
  }
}

TEST_F(EntryApiTest, ListWithoutPageSizeNeverPassesAMessage) {
  for (int i = 0; i < 12; ++i) {
    types::Entry entry = NewEntry("/w" + std::to_string(i));
    for (int n = 0; n < 60; ++n) {
      AddSelector(&entry, "unix", std::to_string(n) + std::string(8000, 'x'));
    }
    CreateOne(entry);
  }
  entry_pb::ListEntriesRequest request;
  int entries = 0;
  int pages = 0;
  do {
    entry_pb::ListEntriesResponse page = List(request);
    EXPECT_LE(page.ByteSizeLong(), kMessageBytesMax);
    entries += page.entries_size();
    request.set_page_token(page.next_page_token());
    ++pages;
  } while (!request.page_token().empty());
  EXPECT_EQ(entries, 12);
  EXPECT_GT(pages, 1);
}

TEST_F(EntryApiTest, OutputMaskLeavesTheIdAndWhatItNames) {
  types::Entry wanted = NewEntry("/web");
  wanted.set_hint("h");
  CreateOne(wanted);
  entry_pb::ListEntriesRequest request;
  request.mutable_output_mask()->set_spiffe_id(true);
  types::Entry listed = List(request).entries(0);
  EXPECT_FALSE(listed.id().empty());
  EXPECT_EQ(listed.spiffe_id().path(), "/web");
  EXPECT_FALSE(listed.has_parent_id());
  EXPECT_TRUE(listed.selectors().empty());
  EXPECT_EQ(listed.hint(), "");
  EXPECT_EQ(listed.created_at(), 0);
}

TEST_F(EntryApiTest, AuthorizedEntriesAreTheAgentsAndItsDescendants) {
  AddAgent(kAgentPath);
  AddEntry("/mine");
  AddEntry("/below", [this](Entry& entry) { entry.parent_id = Id("/mine"); });
  AddEntry("/foreign", [this](Entry& e) { e.parent_id = Id("/spire/agent/join_token/other"); });
  AddEntry("/expired",
           [this](Entry& entry) { entry.expires_at = ToUnixSeconds(clock_.Now()) - 1; });
  Call call = AsAgent();
  auto response = Take(entries_->GetAuthorizedEntries(call, {}));
  std::set<std::string> paths;
  for (const types::Entry& entry : response.entries()) paths.insert(entry.spiffe_id().path());
  EXPECT_EQ(paths, (std::set<std::string>{"/mine", "/below"}));
}

TEST_F(EntryApiTest, AuthorizedEntriesThatFillMoreThanAMessageAreRefusedAndNeverCut) {
  AddAgent(kAgentPath);
  auto add = [this](int i) {
    AddEntry("/w" + std::to_string(i), [](Entry& entry) {
      for (int n = 0; n < 60; ++n) {
        entry.selectors.Insert({"unix", std::to_string(n) + std::string(8000, 'x')});
      }
    });
  };
  for (int i = 0; i < 8; ++i) add(i);
  Call call = AsAgent();
  auto response = Take(entries_->GetAuthorizedEntries(call, {}));
  EXPECT_EQ(response.entries_size(), 8);
  EXPECT_LE(response.ByteSizeLong(), kMessageBytesMax);
  add(8);
  Status refused = entries_->GetAuthorizedEntries(call, {}).status();
  EXPECT_EQ(refused.code(), Code::kResourceExhausted);
  EXPECT_NE(refused.message().find("SyncAuthorizedEntries"), std::string::npos);
  entry_pb::GetAuthorizedEntriesRequest masked;  // what is not asked for takes no room
  masked.mutable_output_mask()->set_spiffe_id(true);
  EXPECT_EQ(Take(entries_->GetAuthorizedEntries(call, masked)).entries_size(), 9);
}

TEST_F(EntryApiTest, BatchesAreBounded) {
  entry_pb::BatchDeleteEntryRequest request;
  for (size_t i = 0; i <= kBatchItemsMax; ++i) request.add_ids("x");
  Call call = AsLocal();
  EXPECT_EQ(entries_->BatchDeleteEntry(call, request).code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace writ
