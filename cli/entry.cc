// SPDX-License-Identifier: Apache-2.0
//
// writ entry: registration entries.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "cli/cli.h"
#include "cli/entry_text.h"
#include "cli/output.h"
#include "cli/rpc.h"
#include "core/base/file.h"
#include "spire/api/server/entry/v1/entry.grpc.pb.h"

namespace writ {
namespace {

namespace entryv1 = spire::api::server::entry::v1;
using entryv1::Entry;
using WireEntry = spire::api::types::Entry;

constexpr int kBatchMax = 500;  // entries in one call
constexpr char kPrefetchFlag[] = "--disable-x509-svid-prefetch";
constexpr char kJtiFlag[] = "--jwt-svid-include-jti";

// The flags of create and update, as they were written.
struct EntryFlags {
  std::string id, spiffe_id, parent_id, x509_ttl, jwt_ttl, hint, expires_at, file;
  std::vector<std::string> selectors, dns_names;
  bool admin = false, downstream = false, store_svid = false;
  bool disable_x509_svid_prefetch = false, jwt_svid_include_jti = false;
  const char* id_flag = nullptr;  // create and update name it differently
  CLI::App* app = nullptr;

  bool Given(const std::string& flag) const { return app->count(flag) > 0; }
};

struct FilterFlags {
  std::string spiffe_id, parent_id, hint;
  std::vector<std::string> selectors;
  bool downstream = false;
  CLI::App* app = nullptr;

  bool Given(const std::string& flag) const { return app->count(flag) > 0; }
};

void AddEntryFlags(CLI::App* app, EntryFlags& flags, const char* id_flag, const char* id_text) {
  flags.app = app;
  flags.id_flag = id_flag;
  AddChecked(*app, "--spiffe-id", flags.spiffe_id, "SPIFFE ID that the workload gets", CheckId);
  AddChecked(*app, "--parent-id", flags.parent_id, "Agent or entry below which it stands", CheckId);
  AddChecked(*app, "--selector", flags.selectors, "type:value, e.g. unix:uid:1000 (repeat)",
             CheckSelector);
  AddChecked(*app, "--x509-ttl", flags.x509_ttl, "Lifetime of X.509-SVIDs, e.g. 1h", CheckTtl);
  AddChecked(*app, "--jwt-ttl", flags.jwt_ttl, "Lifetime of JWT-SVIDs, e.g. 5m", CheckTtl);
  app->add_option("--dns-name", flags.dns_names, "DNS name of the X.509-SVID (repeat)")
      ->expected(1)
      ->take_all();
  app->add_option("--hint", flags.hint, "Tells a workload its identities apart");
  app->add_flag("--admin", flags.admin, "May call the server's administrative API");
  app->add_flag("--downstream", flags.downstream, "A server below this one");
  app->add_flag("--store-svid", flags.store_svid, "For SVID stores, never for workloads");
  app->add_flag(kPrefetchFlag, flags.disable_x509_svid_prefetch,
                "Agents fetch the X.509-SVID when a workload asks, not ahead");
  app->add_flag(kJtiFlag, flags.jwt_svid_include_jti,
                "Each JWT-SVID is a new one with a jti of its own, never a cached one");
  AddChecked(*app, "--expires-at", flags.expires_at, "Unix seconds or 2027-01-31T12:00:00Z",
             CheckTime);
  app->add_option("--file", flags.file, "YAML or JSON file of one or many entries; - is stdin");
  app->add_option(id_flag, flags.id, id_text);
}

// The entry of the flags, and which of its fields were given.
Status FillEntry(const EntryFlags& flags, WireEntry& entry, spire::api::types::EntryMask& mask) {
  if (flags.Given("--spiffe-id")) {
    *entry.mutable_spiffe_id() = TRY(IdMessage(flags.spiffe_id), "--spiffe-id");
    mask.set_spiffe_id(true);
  }
  if (flags.Given("--parent-id")) {
    *entry.mutable_parent_id() = TRY(IdMessage(flags.parent_id), "--parent-id");
    mask.set_parent_id(true);
  }
  for (const std::string& text : flags.selectors) {
    *entry.add_selectors() = TRY(SelectorMessage(text), "--selector");
    mask.set_selectors(true);
  }
  if (flags.Given("--x509-ttl")) {
    entry.set_x509_svid_ttl(TRY(TtlSeconds(flags.x509_ttl), "--x509-ttl"));
    mask.set_x509_svid_ttl(true);
  }
  if (flags.Given("--jwt-ttl")) {
    entry.set_jwt_svid_ttl(TRY(TtlSeconds(flags.jwt_ttl), "--jwt-ttl"));
    mask.set_jwt_svid_ttl(true);
  }
  for (const std::string& name : flags.dns_names) {
    if (!name.empty()) entry.add_dns_names(name);  // "" alone clears them
    mask.set_dns_names(true);
  }
  if (flags.Given("--expires-at")) {
    entry.set_expires_at(TRY(UnixSeconds(flags.expires_at), "--expires-at"));
    mask.set_expires_at(true);
  }
  entry.set_hint(flags.hint);
  mask.set_hint(flags.Given("--hint"));
  entry.set_admin(flags.admin);
  mask.set_admin(flags.Given("--admin"));
  entry.set_downstream(flags.downstream);
  mask.set_downstream(flags.Given("--downstream"));
  entry.set_store_svid(flags.store_svid);
  mask.set_store_svid(flags.Given("--store-svid"));
  if (flags.Given(kPrefetchFlag) || flags.Given(kJtiFlag)) {
    auto* attributes = entry.mutable_additional_attributes();
    attributes->set_disable_x509_svid_prefetch(flags.disable_x509_svid_prefetch);
    attributes->set_jwt_svid_include_jti(flags.jwt_svid_include_jti);
    mask.set_additional_attributes(true);
  }
  return OkStatus();
}

Result<std::vector<WireEntry>> EntriesOfFile(const std::string& path) {
  if (path == "-") {
    std::string text(std::istreambuf_iterator<char>(std::cin), {});
    return EntriesFromFile(text, "standard input");
  }
  return EntriesFromFile(TRY(ReadFile(path)), path);
}

template <typename Results>
int FirstFailure(const Results& results) {
  for (const auto& result : results) {
    if (result.status().code() != 0) return result.status().code();
  }
  return 0;
}

// Prints what a batch answered; the failures' sentences are the status.
template <typename Results>
Status ReportEntries(Session& session, const Results& results, const std::string& deed) {
  Json list = Json::MakeArray();
  std::string failures;
  int failed = 0;
  for (int i = 0; i < results.size(); ++i) {
    const auto& result = results.Get(i);
    if (result.status().code() != 0) {
      ++failed;
      failures += "\n  entry " + std::to_string(i + 1) + ": " + result.status().message();
      if (result.has_entry() && !result.entry().id().empty()) {
        failures += " (entry " + result.entry().id() + ")";
      }
      continue;
    }
    if (session.output == Output::kJson) {
      list.Add(EntryJson(result.entry()));
    } else {
      PrintEntry(*session.out, result.entry(), session.clock->Now());
      *session.out << '\n';
    }
  }
  if (session.output == Output::kJson) {
    PrintJson(*session.out, Json::MakeObject().Set("entries", std::move(list)));
  }
  if (failed == 0) return OkStatus();
  return Status(static_cast<Code>(FirstFailure(results)),
                std::to_string(failed) + " of " + std::to_string(results.size()) +
                    " entries not " + deed + ":" + failures);
}

// The first flag that says a field of the entry; null when none does.
const char* FieldFlagOf(const EntryFlags& flags) {
  for (const char* flag : {"--spiffe-id", "--parent-id", "--selector", "--x509-ttl", "--jwt-ttl",
                           "--dns-name", "--hint", "--admin", "--downstream", "--store-svid",
                           "--expires-at", kPrefetchFlag, kJtiFlag}) {
    if (flags.Given(flag)) return flag;
  }
  return nullptr;
}

// A file says its entries whole: a flag beside it would be lost.
Status CheckFileAlone(Session& session, const EntryFlags& flags) {
  if (flags.file.empty()) return OkStatus();
  const char* lost = flags.id.empty() ? FieldFlagOf(flags) : flags.id_flag;
  if (lost == nullptr) return OkStatus();
  return session.WrongUse(std::string("--file says entries whole: ") + lost +
                          " cannot stand beside it");
}

template <typename Request, typename Response>
using BatchMethod = grpc::Status (Entry::Stub::*)(grpc::ClientContext*, const Request&, Response*);

// What the server answers to all of them, sent in calls that it takes. `request` holds what else
// each call says.
template <typename Request, typename Response>
Result<Response> SendInBatches(Session& session, const Target& target, Entry::Stub& stub,
                               BatchMethod<Request, Response> method, Request request,
                               const std::vector<WireEntry>& entries) {
  Response all;
  for (size_t start = 0; start < entries.size(); start += kBatchMax) {
    request.clear_entries();
    for (size_t i = start; i < std::min(entries.size(), start + kBatchMax); ++i) {
      *request.add_entries() = entries[i];
    }
    all.MergeFrom(TRY(Call(target, stub, method, request)));
    if (entries.size() > kBatchMax) {
      *session.err << "sent " << start + request.entries_size() << " of " << entries.size() << '\n';
    }
  }
  return all;
}

Status CreateEntries(Session& session, const EntryFlags& flags) {
  TRY(CheckFileAlone(session, flags));
  std::vector<WireEntry> entries;
  if (flags.file.empty()) {
    if (!flags.Given("--spiffe-id") || !flags.Given("--parent-id") || flags.selectors.empty()) {
      return session.WrongUse(
          "an entry needs --spiffe-id, --parent-id and at least one --selector (or --file)");
    }
    WireEntry entry;
    spire::api::types::EntryMask unused;
    TRY(FillEntry(flags, entry, unused));
    entry.set_id(flags.id);
    entries.push_back(std::move(entry));
  } else {
    entries = TRY(EntriesOfFile(flags.file));
  }
  Target target = ServerTarget(session);
  Entry::Stub stub(target.channel);
  const auto response = TRY(SendInBatches(session, target, stub, &Entry::Stub::BatchCreateEntry,
                                          entryv1::BatchCreateEntryRequest(), entries));
  return ReportEntries(session, response.results(), "created");
}

// An update has one mask for all additional attributes: those that no flag names are sent as they
// are.
Status KeepOtherAttributes(const Target& target, Entry::Stub& stub, const EntryFlags& flags,
                           WireEntry& entry) {
  if (flags.Given(kPrefetchFlag) == flags.Given(kJtiFlag)) return OkStatus();
  entryv1::GetEntryRequest request;
  request.set_id(flags.id);
  request.mutable_output_mask()->set_additional_attributes(true);
  const WireEntry held = TRY(Call(target, stub, &Entry::Stub::GetEntry, request));
  auto* attributes = entry.mutable_additional_attributes();
  if (flags.Given(kPrefetchFlag)) {
    attributes->set_jwt_svid_include_jti(held.additional_attributes().jwt_svid_include_jti());
  } else {
    attributes->set_disable_x509_svid_prefetch(
        held.additional_attributes().disable_x509_svid_prefetch());
  }
  return OkStatus();
}

Status UpdateEntries(Session& session, const EntryFlags& flags) {
  Target target = ServerTarget(session);
  Entry::Stub stub(target.channel);
  entryv1::BatchUpdateEntryRequest request;
  std::vector<WireEntry> entries;
  TRY(CheckFileAlone(session, flags));
  if (!flags.file.empty()) {
    // A file says an entry whole, so every field of it counts: no mask.
    entries = TRY(EntriesOfFile(flags.file));
  } else {
    if (flags.id.empty()) return session.WrongUse("which entry? Give --id (or --file)");
    if (FieldFlagOf(flags) == nullptr) {
      return session.WrongUse("what is to change? Give a flag for each field that does, like "
                              "--x509-ttl 30m");
    }
    WireEntry entry;
    TRY(FillEntry(flags, entry, *request.mutable_input_mask()));
    entry.set_id(flags.id);
    TRY(KeepOtherAttributes(target, stub, flags, entry));
    entries.push_back(std::move(entry));
  }
  const auto response = TRY(SendInBatches(session, target, stub, &Entry::Stub::BatchUpdateEntry,
                                          std::move(request), entries));
  return ReportEntries(session, response.results(), "updated");
}

Status DeleteEntries(Session& session, const std::vector<std::string>& ids) {
  Target target = ServerTarget(session);
  Entry::Stub stub(target.channel);
  entryv1::BatchDeleteEntryRequest request;
  for (const std::string& id : ids) request.add_ids(id);
  auto response = TRY(Call(target, stub, &Entry::Stub::BatchDeleteEntry, request));
  std::string failures;
  Json deleted = Json::MakeArray();
  for (const auto& result : response.results()) {
    if (result.status().code() != 0) {
      failures += "\n  " + result.id() + ": " + result.status().message();
    } else if (session.output == Output::kJson) {
      deleted.Add(result.id());
    } else {
      *session.out << "Deleted entry " << result.id() << '\n';
    }
  }
  if (session.output == Output::kJson) {
    PrintJson(*session.out, Json::MakeObject().Set("deleted", std::move(deleted)));
  }
  if (failures.empty()) return OkStatus();
  return Status(static_cast<Code>(FirstFailure(response.results())),
                "entries not deleted:" + failures);
}

Status ShowEntry(Session& session, const std::string& id) {
  Target target = ServerTarget(session);
  Entry::Stub stub(target.channel);
  entryv1::GetEntryRequest request;
  request.set_id(id);
  WireEntry entry = TRY(Call(target, stub, &Entry::Stub::GetEntry, request));
  if (session.output == Output::kJson) {
    PrintJson(*session.out, EntryJson(entry));
  } else {
    PrintEntry(*session.out, entry, session.clock->Now());
  }
  return OkStatus();
}

template <typename Filter>
Status FillFilter(const FilterFlags& flags, Filter& filter) {
  if (!flags.spiffe_id.empty()) {
    *filter.mutable_by_spiffe_id() = TRY(IdMessage(flags.spiffe_id), "--spiffe-id");
  }
  if (!flags.parent_id.empty()) {
    *filter.mutable_by_parent_id() = TRY(IdMessage(flags.parent_id), "--parent-id");
  }
  for (const std::string& text : flags.selectors) {
    filter.mutable_by_selectors()->set_match(
        spire::api::types::SelectorMatch::MATCH_SUPERSET);
    *filter.mutable_by_selectors()->add_selectors() = TRY(SelectorMessage(text), "--selector");
  }
  if (!flags.hint.empty()) filter.mutable_by_hint()->set_value(flags.hint);
  if (flags.Given("--downstream")) filter.mutable_by_downstream()->set_value(flags.downstream);
  return OkStatus();
}

Status ListEntries(Session& session, const FilterFlags& flags) {
  Target target = ServerTarget(session);
  Entry::Stub stub(target.channel);
  entryv1::ListEntriesRequest request;
  TRY(FillFilter(flags, *request.mutable_filter()));
  request.set_page_size(kBatchMax);
  std::vector<std::vector<std::string>> rows;
  Json list = Json::MakeArray();
  do {
    auto page = TRY(Call(target, stub, &Entry::Stub::ListEntries, request));
    for (const WireEntry& entry : page.entries()) {
      if (session.output == Output::kJson) {
        list.Add(EntryJson(entry));
        continue;
      }
      std::vector<std::string> selectors;
      for (const auto& s : entry.selectors()) selectors.push_back(s.type() + ":" + s.value());
      rows.push_back({entry.id(), IdText(entry.spiffe_id()), IdText(entry.parent_id()),
                      Joined(selectors)});
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  if (session.output == Output::kJson) {
    PrintJson(*session.out, Json::MakeObject().Set("entries", std::move(list)));
  } else if (rows.empty()) {
    *session.out << "No entries\n";
  } else {
    PrintTable(*session.out, {"ENTRY ID", "SPIFFE ID", "PARENT ID", "SELECTORS"}, rows);
  }
  return OkStatus();
}

Status CountEntries(Session& session, const FilterFlags& flags) {
  Target target = ServerTarget(session);
  Entry::Stub stub(target.channel);
  entryv1::CountEntriesRequest request;
  TRY(FillFilter(flags, *request.mutable_filter()));
  auto response = TRY(Call(target, stub, &Entry::Stub::CountEntries, request));
  if (session.output == Output::kJson) {
    PrintJson(*session.out, Json::MakeObject().Set("count", int64_t{response.count()}));
  } else {
    *session.out << response.count() << '\n';
  }
  return OkStatus();
}

void AddFilterFlags(CLI::App* app, FilterFlags& flags) {
  flags.app = app;
  AddChecked(*app, "--spiffe-id", flags.spiffe_id, "Only those with this SPIFFE ID", CheckId);
  AddChecked(*app, "--parent-id", flags.parent_id, "Only those below this parent", CheckId);
  AddChecked(*app, "--selector", flags.selectors, "Only those that have it (repeat: all of them)",
             CheckSelector);
  AddChecked(*app, "--hint", flags.hint, "Only those with this hint", CheckNotEmpty);
  app->add_flag("--downstream", flags.downstream,
                "Only those of servers below this one; =false: only others");
}

}  // namespace

void AddEntryCommands(CLI::App& app, Session& session) {
  CLI::App* noun = app.add_subcommand("entry", "Registration entries: who gets which identity");
  noun->require_subcommand(1);
  auto create = std::make_shared<EntryFlags>();
  CLI::App* command = AddCommand(
      *noun, session, "create", "Register a workload, or many from a file",
      "  writ entry create --spiffe-id spiffe://example.org/web \\\n"
      "    --parent-id spiffe://example.org/node1 --selector unix:uid:1000 --x509-ttl 1h\n"
      "  writ entry create --spiffe-id spiffe://example.org/batch --jwt-svid-include-jti \\\n"
      "    --parent-id spiffe://example.org/node1 --selector unix:uid:1001\n"
      "  writ entry create --file entries.yaml   # or SPIRE's registration JSON",
      [&session, create] { return CreateEntries(session, *create); });
  AddEntryFlags(command, *create, "--entry-id", "The entry's ID (default: made by the server)");

  auto update = std::make_shared<EntryFlags>();
  command = AddCommand(*noun, session, "update",
                       "Change the fields that are given; others stay as they are",
                       "  writ entry update --id 4e7f... --x509-ttl 30m\n"
                       "  writ entry update --id 4e7f... --hint \"\" --dns-name \"\" --admin=false "
                       "--expires-at 0   # clears them\n"
                       "  writ entry update --id 4e7f... --disable-x509-svid-prefetch "
                       "--jwt-svid-include-jti=false\n"
                       "  writ entry update --id 4e7f... --selector unix:uid:1001\n"
                       "  writ entry list --output json > entries.json   # edit it, then\n"
                       "  writ entry update --file entries.json",
                       [&session, update] { return UpdateEntries(session, *update); });
  AddEntryFlags(command, *update, "--id", "The entry's ID");

  auto ids = std::make_shared<std::vector<std::string>>();
  command = AddCommand(*noun, session, "delete",
                       "Delete entries: their SVIDs are no longer renewed",
                       "  writ entry delete --id 4e7f...",
                       [&session, ids] { return DeleteEntries(session, *ids); });
  command->add_option("--id", *ids, "The entry's ID (repeat)")->required();

  auto id = std::make_shared<std::string>();
  command = AddCommand(*noun, session, "show", "Show one entry", "  writ entry show --id 4e7f...",
                       [&session, id] { return ShowEntry(session, *id); });
  command->add_option("--id", *id, "The entry's ID")->required();

  auto filter = std::make_shared<FilterFlags>();
  command = AddCommand(*noun, session, "list", "List entries",
                       "  writ entry list\n"
                       "  writ entry list --hint web --downstream=false\n"
                       "  writ entry list --parent-id spiffe://example.org/node1 --output json",
                       [&session, filter] { return ListEntries(session, *filter); });
  AddFilterFlags(command, *filter);
  auto counted = std::make_shared<FilterFlags>();
  command = AddCommand(*noun, session, "count", "Count entries", "  writ entry count",
                       [&session, counted] { return CountEntries(session, *counted); });
  AddFilterFlags(command, *counted);
}

}  // namespace writ
