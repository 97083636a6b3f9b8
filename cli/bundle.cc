// SPDX-License-Identifier: Apache-2.0
//
// writ bundle: the trust domain's authorities, to hand to agents and validators.
#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "cli/bundle_text.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "cli/rpc.h"
#include "spire/api/server/bundle/v1/bundle.grpc.pb.h"

namespace writ {
namespace {

using BundleService = spire::api::server::bundle::v1::Bundle;

Status ShowBundle(Session& session, const std::string& format) {
  Target target = ServerTarget(session);
  BundleService::Stub stub(target.channel);
  auto message = TRY(Call(target, stub, &BundleService::Stub::GetBundle,
                          spire::api::server::bundle::v1::GetBundleRequest()));
  Bundle bundle = TRY(BundleFromMessage(message), "read the server's bundle");
  if (format == "spiffe" || (format.empty() && session.output == Output::kJson)) {
    *session.out << ToSpiffeJson(bundle, true) << '\n';
  } else {
    *session.out << ToPem(bundle);
  }
  return OkStatus();
}

}  // namespace

Result<Bundle> BundleFromMessage(const spire::api::types::Bundle& message) {
  Bundle bundle{.trust_domain = TRY(TrustDomain::Parse(message.trust_domain()))};
  for (const auto& authority : message.x509_authorities()) {
    bundle.x509.push_back({.certificate = TRY(Certificate::FromDer(authority.asn1())),
                           .tainted = authority.tainted()});
  }
  for (const auto& authority : message.jwt_authorities()) {
    PublicKey key = TRY(PublicKey::FromSpki(authority.public_key()));
    bundle.jwt.push_back({.key_id = authority.key_id(),
                          .key = std::move(key),
                          .expires_at = authority.expires_at(),
                          .tainted = authority.tainted()});
  }
  bundle.sequence_number = message.sequence_number();
  bundle.refresh_hint_seconds = message.refresh_hint();
  return bundle;
}

void AddBundleCommands(CLI::App& app, Session& session) {
  CLI::App* noun = app.add_subcommand("bundle", "The trust domain's authorities");
  noun->require_subcommand(1);
  auto format = std::make_shared<std::string>();
  CLI::App* show = AddCommand(*noun, session, "show", "Print the trust domain's bundle",
                              "  writ bundle show > bundle.pem\n"
                              "  writ bundle show --format spiffe > bundle.json",
                              [&session, format] { return ShowBundle(session, *format); });
  show->add_option("--format", *format, "pem: X.509 authorities; spiffe: the SPIFFE JSON document")
      ->check(CLI::IsMember({"pem", "spiffe"}))
      ->type_name("pem|spiffe");
}

}  // namespace writ
