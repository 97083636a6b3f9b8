// SPDX-License-Identifier: Apache-2.0
//
// writ svid fetch, watch and validate: what a workload sees on the Workload API.
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "cli/cli.h"
#include "cli/entry_text.h"
#include "cli/output.h"
#include "cli/rpc.h"
#include "cli/svid_files.h"
#include "core/base/file.h"
#include "core/spiffe/svid.h"
#include "spiffe/workload/workload.grpc.pb.h"

namespace writ {
namespace {

constexpr Duration kRetryAfter = std::chrono::seconds(1);

struct SvidFlags {
  std::string spiffe_id, write, token, file;
  std::vector<std::string> audience;
  int count = 0;  // watch: stop after so many; 0: never
};

// One X509-SVID of an answer, verified against the bundle that came with it.
struct FetchedX509 {
  SpiffeId id;
  std::vector<Certificate> chain;
  Secret key_pkcs8;
  Bundle bundle;
  std::string hint;
};

Result<Bundle> BundleOf(const TrustDomain& td, std::string_view der) {
  Bundle bundle{.trust_domain = td};
  for (Certificate& certificate : TRY(Certificate::ChainFromDer(der), "read the bundle")) {
    bundle.x509.push_back({.certificate = std::move(certificate)});
  }
  return bundle;
}

Result<std::vector<FetchedX509>> ReadX509(const X509SVIDResponse& response,
                                          const std::string& only, Time now) {
  std::vector<FetchedX509> fetched;
  for (const X509SVID& svid : response.svids()) {
    if (!only.empty() && svid.spiffe_id() != only) continue;
    SpiffeId id = TRY(SpiffeId::Parse(svid.spiffe_id()));
    std::vector<Certificate> chain = TRY(Certificate::ChainFromDer(svid.x509_svid()), id.text());
    Bundle bundle = TRY(BundleOf(id.trust_domain(), svid.bundle()), id.text());
    TRY(VerifyX509Svid(chain, std::span(&bundle, 1), now), "verify " + id.text());
    fetched.push_back({.id = std::move(id),
                       .chain = std::move(chain),
                       .key_pkcs8 = Secret(std::string(svid.x509_svid_key())),
                       .bundle = std::move(bundle),
                       .hint = svid.hint()});
  }
  if (fetched.empty()) {
    return NotFound(only.empty() ? "the answer holds no X.509-SVID"
                                 : "no X.509-SVID of " + only + " is yours");
  }
  return fetched;
}

// A watch prints one line for each update, so that a machine reads it as it comes.
void PrintUpdate(Session& session, const Json& answer) {
  if (session.streaming) {
    *session.out << answer.Dump() << '\n';
  } else {
    PrintJson(*session.out, answer);
  }
}

Status ShowX509(Session& session, const SvidFlags& flags,
                const std::vector<FetchedX509>& fetched) {
  Json list = Json::MakeArray();
  for (size_t i = 0; i < fetched.size(); ++i) {
    const FetchedX509& svid = fetched[i];
    const Certificate& leaf = svid.chain.front();
    std::vector<std::string> written;
    std::vector<Certificate> roots = svid.bundle.X509Roots();
    if (!flags.write.empty()) {
      written = TRY(WriteX509Files(flags.write, static_cast<int>(i), svid.chain, svid.key_pkcs8,
                                   roots));
    }
    if (session.output == Output::kJson) {
      Json json = Json::MakeObject();
      json.Set("spiffe_id", svid.id.text());
      json.Set("hint", svid.hint);
      json.Set("serial_number", leaf.serial().ToDecimal());
      json.Set("not_before", ToUnixSeconds(leaf.not_before()));
      json.Set("expires_at", ToUnixSeconds(leaf.not_after()));
      json.Set("x509_svid", ChainPem(svid.chain));
      json.Set("bundle", ChainPem(roots));
      list.Add(std::move(json));
      continue;
    }
    PrintFields(*session.out,
                {{"SPIFFE ID", svid.id.text()},
                 {"Hint", svid.hint},
                 {"Expires", TimeText(ToUnixSeconds(leaf.not_after()), session.clock->Now())},
                 {"Serial number", leaf.serial().ToDecimal()},
                 {"DNS names", Joined(leaf.dns_sans())},
                 {"Key", leaf.public_key().Describe()},
                 {"Authorities", std::to_string(roots.size()) + " in the bundle; verified"},
                 {"Written", Joined(written)}});
    *session.out << '\n';
  }
  if (!flags.write.empty()) {
    TRY(RemoveX509FilesFrom(flags.write, static_cast<int>(fetched.size())));
  }
  if (session.output == Output::kJson) {
    Json answer = Json::MakeObject();
    answer.Set("svids", std::move(list));
    PrintUpdate(session, answer);
  }
  session.out->flush();
  return OkStatus();
}

// The first message of a stream of the Workload API.
template <typename Request, typename Response>
Result<Response> First(const Target& target, SpiffeWorkloadAPI::Stub& stub,
                       std::unique_ptr<grpc::ClientReader<Response>> (
                           SpiffeWorkloadAPI::Stub::*method)(grpc::ClientContext*,
                                                             const Request&)) {
  grpc::ClientContext context;
  PrepareContext(target, context);
  context.set_deadline(CallDeadline());
  auto reader = (stub.*method)(&context, Request());
  Response response;
  if (reader->Read(&response)) {
    context.TryCancel();
    return response;
  }
  return DescribeFailure(reader->Finish(), target);
}

Status FetchX509(Session& session, const SvidFlags& flags) {
  Target target = TRY(WorkloadTarget(session));
  SpiffeWorkloadAPI::Stub stub(target.channel);
  auto response = TRY(First(target, stub, &SpiffeWorkloadAPI::Stub::FetchX509SVID));
  return ShowX509(session, flags, TRY(ReadX509(response, flags.spiffe_id, session.clock->Now())));
}

Result<JWTSVIDResponse> FetchTokens(const Target& target, const SvidFlags& flags) {
  SpiffeWorkloadAPI::Stub stub(target.channel);
  JWTSVIDRequest request;
  for (const std::string& audience : flags.audience) request.add_audience(audience);
  request.set_spiffe_id(flags.spiffe_id);
  return Call(target, stub, &SpiffeWorkloadAPI::Stub::FetchJWTSVID, request);
}

// Prints the tokens; the earliest moment at which one is past half of its life.
Result<Time> ShowTokens(Session& session, const SvidFlags& flags,
                        const JWTSVIDResponse& response) {
  Json list = Json::MakeArray();
  Time renew_at = Time::max();
  for (int i = 0; i < response.svids_size(); ++i) {
    const JWTSVID& svid = response.svids(i);
    JwtSvid parsed = TRY(ParseJwtSvidInsecure(svid.svid()), "read the token");
    Time now = session.clock->Now();
    renew_at = std::min(renew_at, now + (parsed.expires_at - now) / 2);
    std::string written;
    if (!flags.write.empty()) written = TRY(WriteJwtFile(flags.write, i, svid.svid()));
    if (session.output == Output::kJson) {
      Json json = Json::MakeObject();
      json.Set("spiffe_id", svid.spiffe_id());
      json.Set("hint", svid.hint());
      json.Set("expires_at", ToUnixSeconds(parsed.expires_at));
      json.Set("svid", svid.svid());
      list.Add(std::move(json));
      continue;
    }
    PrintFields(*session.out,
                {{"SPIFFE ID", svid.spiffe_id()},
                 {"Hint", svid.hint()},
                 {"Audience", Joined(parsed.audience)},
                 {"Expires", TimeText(ToUnixSeconds(parsed.expires_at), now)},
                 {"Written", written}});
    if (written.empty()) *session.out << "Token:  " << svid.svid() << '\n';
    *session.out << '\n';
  }
  if (!flags.write.empty()) TRY(RemoveJwtFilesFrom(flags.write, response.svids_size()));
  if (session.output == Output::kJson) {
    Json answer = Json::MakeObject();
    answer.Set("svids", std::move(list));
    PrintUpdate(session, answer);
  }
  session.out->flush();
  return renew_at;
}

Status FetchJwt(Session& session, const SvidFlags& flags) {
  Target target = TRY(WorkloadTarget(session));
  auto response = TRY(FetchTokens(target, flags));
  TRY(ShowTokens(session, flags, response));
  return OkStatus();
}

// A watch goes on over what passes by itself: an agent that restarts, an entry that comes later.
bool WorthRetrying(const Status& status) {
  return status.code() == Code::kUnavailable || status.code() == Code::kPermissionDenied;
}

void Pause(Session& session, const Status& why) {
  *session.err << "writ: " << why.message() << "; trying again\n";
  session.clock->WaitUntil(session.clock->Monotonic() + kRetryAfter, std::stop_token());
}

Status WatchX509(Session& session, const SvidFlags& flags) {
  session.streaming = true;
  Target target = TRY(WorkloadTarget(session));
  SpiffeWorkloadAPI::Stub stub(target.channel);
  int updates = 0;
  while (true) {
    grpc::ClientContext context;
    PrepareContext(target, context);
    auto reader = stub.FetchX509SVID(&context, X509SVIDRequest());
    X509SVIDResponse response;
    while (reader->Read(&response)) {
      TRY(ShowX509(session, flags,
                   TRY(ReadX509(response, flags.spiffe_id, session.clock->Now()))));
      if (++updates == flags.count) {
        context.TryCancel();
        return OkStatus();
      }
    }
    Status ended = DescribeFailure(reader->Finish(), target);
    if (!WorthRetrying(ended)) return ended;
    Pause(session, ended);
  }
}

Status WatchJwt(Session& session, const SvidFlags& flags) {
  session.streaming = true;
  Target target = TRY(WorkloadTarget(session));
  for (int updates = 0; flags.count == 0 || updates < flags.count;) {
    Result<JWTSVIDResponse> response = FetchTokens(target, flags);
    if (!response.ok()) {
      if (!WorthRetrying(response.status())) return response.status();
      Pause(session, response.status());
      continue;
    }
    Time renew_at = TRY(ShowTokens(session, flags, *response));
    if (++updates == flags.count) break;
    Duration wait = renew_at - session.clock->Now();
    session.clock->WaitUntil(session.clock->Monotonic() + std::max(wait, kRetryAfter),
                             std::stop_token());
  }
  return OkStatus();
}

Status ReportValid(Session& session, const SpiffeId& id, Time expires_at, const Json& claims) {
  if (session.output == Output::kJson) {
    Json json = Json::MakeObject();
    json.Set("valid", true);
    json.Set("spiffe_id", id.text());
    json.Set("expires_at", ToUnixSeconds(expires_at));
    if (!claims.IsNull()) json.Set("claims", claims);
    PrintJson(*session.out, json);
    return OkStatus();
  }
  PrintFields(*session.out,
              {{"Valid", "yes"},
               {"SPIFFE ID", id.text()},
               {"Expires", TimeText(ToUnixSeconds(expires_at), session.clock->Now())},
               {"Claims", claims.IsNull() ? "" : claims.Dump()}});
  return OkStatus();
}

Status ValidateX509(Session& session, const SvidFlags& flags) {
  Target target = TRY(WorkloadTarget(session));
  SpiffeWorkloadAPI::Stub stub(target.channel);
  if (flags.file.empty()) {
    auto response = TRY(First(target, stub, &SpiffeWorkloadAPI::Stub::FetchX509SVID));
    for (const FetchedX509& svid :
         TRY(ReadX509(response, flags.spiffe_id, session.clock->Now()))) {
      TRY(ReportValid(session, svid.id, svid.chain.front().not_after(), Json()));
    }
    return OkStatus();
  }
  std::vector<Certificate> chain =
      TRY(Certificate::FromPem(TRY(ReadFile(flags.file))), flags.file);
  auto response = TRY(First(target, stub, &SpiffeWorkloadAPI::Stub::FetchX509Bundles));
  std::vector<Bundle> bundles;
  for (const auto& [name, der] : response.bundles()) {
    SpiffeId td = TRY(SpiffeId::Parse(name), "read the bundles");
    bundles.push_back(TRY(BundleOf(td.trust_domain(), der), name));
  }
  VerifiedX509Svid verified =
      TRY(VerifyX509Svid(chain, bundles, session.clock->Now()), flags.file);
  if (!flags.spiffe_id.empty() && verified.id.text() != flags.spiffe_id) {
    return PermissionDenied(flags.file + " is of " + verified.id.text() + ", not of " +
                            flags.spiffe_id);
  }
  return ReportValid(session, verified.id, chain.front().not_after(), Json());
}

Status ValidateJwt(Session& session, const SvidFlags& flags) {
  std::string token = flags.token;
  if (token.empty() && !flags.file.empty()) token = TRY(ReadFile(flags.file));
  if (token == "-") token.assign(std::istreambuf_iterator<char>(std::cin), {});
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
  if (token.empty()) return session.WrongUse("which token? Give --token, --file or --token -");
  if (flags.audience.size() != 1) {
    return session.WrongUse("validating takes exactly one --audience: the validator's own name");
  }
  Target target = TRY(WorkloadTarget(session));
  SpiffeWorkloadAPI::Stub stub(target.channel);
  ValidateJWTSVIDRequest request;
  request.set_audience(flags.audience.front());
  request.set_svid(token);
  auto response = TRY(Call(target, stub, &SpiffeWorkloadAPI::Stub::ValidateJWTSVID, request));
  if (!flags.spiffe_id.empty() && response.spiffe_id() != flags.spiffe_id) {
    return PermissionDenied("the token is of " + response.spiffe_id() + ", not of " +
                            flags.spiffe_id);
  }
  JwtSvid svid = TRY(ParseJwtSvidInsecure(token));
  return ReportValid(session, svid.id, svid.expires_at, svid.claims);
}

using Body = Status (*)(Session&, const SvidFlags&);

// `verb x509` and `verb jwt`, with the flags that each takes.
void AddVerb(CLI::App& svid, Session& session, const std::string& verb,
             const std::string& description, Body x509, Body jwt) {
  CLI::App* app = svid.add_subcommand(verb, description);
  app->require_subcommand(1);
  for (bool is_jwt : {false, true}) {
    auto flags = std::make_shared<SvidFlags>();
    Body body = is_jwt ? jwt : x509;
    std::string kind = is_jwt ? "jwt" : "x509";
    std::string example = "  writ svid " + verb + " " + kind;
    if (is_jwt) example += " --audience db";
    if (verb == "validate") example += is_jwt ? " --token eyJ..." : " --file svid.0.pem";
    else example += "\n" + example + " --write /run/app/identity";
    CLI::App* command =
        AddCommand(*app, session, kind, description + (is_jwt ? " (JWT-SVIDs)" : " (X.509-SVIDs)"),
                   example, [&session, flags, body] { return body(session, *flags); });
    AddChecked(*command, "--spiffe-id", flags->spiffe_id, "Only this identity", CheckId);
    if (is_jwt) {
      command->add_option("--audience", flags->audience, "Who the token is for (repeat)")
          ->required()
          ->expected(1)
          ->take_all();
    }
    if (verb == "validate") {
      command->add_option("--file", flags->file, is_jwt ? "The token, in a file" : "PEM chain");
      if (is_jwt) command->add_option("--token", flags->token, "The token; - is stdin");
      continue;
    }
    command->add_option("--write", flags->write,
                        is_jwt ? "Directory to write the tokens to (0600)"
                               : "Directory to write files to (keys 0600); keys are never printed");
    if (verb == "watch") command->add_option("--count", flags->count, "Stop after so many");
  }
}

}  // namespace

void AddSvidCommands(CLI::App& app, Session& session) {
  CLI::App* svid = app.add_subcommand("svid", "SVIDs: fetch, watch, validate and mint them");
  svid->require_subcommand(1);
  AddVerb(*svid, session, "fetch", "Fetch this process's identities", FetchX509, FetchJwt);
  AddVerb(*svid, session, "watch", "Fetch, and again at each change", WatchX509, WatchJwt);
  AddVerb(*svid, session, "validate", "Check against the bundles of the Workload API",
          ValidateX509, ValidateJwt);
  AddSvidMintCommands(*svid, session);
}

}  // namespace writ
