// SPDX-License-Identifier: Apache-2.0
//
// writ svid mint: SVIDs made by the server for an operator, without an entry. The key is made here
// and never leaves this process but to the files or the terminal that were asked for.
#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "cli/bundle_text.h"
#include "cli/cli.h"
#include "cli/entry_text.h"
#include "cli/output.h"
#include "cli/rpc.h"
#include "cli/svid_files.h"
#include "core/crypto/csr.h"
#include "core/keys/key_manager.h"
#include "spire/api/server/bundle/v1/bundle.grpc.pb.h"
#include "spire/api/server/svid/v1/svid.grpc.pb.h"

namespace writ {
namespace {

namespace svidv1 = spire::api::server::svid::v1;
using spire::api::server::bundle::v1::Bundle;
using spire::api::server::bundle::v1::GetBundleRequest;

struct MintFlags {
  std::string spiffe_id, ttl = "0", write;
  std::vector<std::string> dns_names, audience;
};

Status MintX509(Session& session, const MintFlags& flags) {
  SpiffeId id = TRY(SpiffeId::Parse(flags.spiffe_id), "--spiffe-id");
  PrivateKey key = TRY(PrivateKey::Generate(KeyType::kEcP256), "make a key");
  Secret pkcs8 = TRY(key.ExportPkcs8());
  std::shared_ptr<Signer> signer = MakeSoftwareSigner(std::move(key));

  svidv1::MintX509SVIDRequest request;
  request.set_csr(
      TRY(MakeCsr({.uri_sans = {id.text()}, .dns_sans = flags.dns_names}, *signer), "make a CSR"));
  request.set_ttl(TRY(TtlSeconds(flags.ttl), "--ttl"));
  Target target = ServerTarget(session);
  svidv1::SVID::Stub stub(target.channel);
  auto response = TRY(Call(target, stub, &svidv1::SVID::Stub::MintX509SVID, request));
  std::vector<Certificate> chain;
  for (const std::string& der : response.svid().cert_chain()) {
    chain.push_back(TRY(Certificate::FromDer(der), "read the minted SVID"));
  }
  Bundle::Stub bundle_stub(target.channel);
  auto message = TRY(Call(target, bundle_stub, &Bundle::Stub::GetBundle, GetBundleRequest()));
  std::vector<Certificate> roots = TRY(BundleFromMessage(message)).X509Roots();

  std::vector<std::string> written;
  if (!flags.write.empty()) {
    written = TRY(WriteX509Files(flags.write, 0, chain, pkcs8, roots));
  }
  if (session.output == Output::kJson) {
    Json json = Json::MakeObject();
    json.Set("spiffe_id", id.text());
    json.Set("expires_at", int64_t{response.svid().expires_at()});
    json.Set("x509_svid", ChainPem(chain));
    json.Set("bundle", ChainPem(roots));
    if (written.empty()) json.Set("key", Pkcs8Pem(pkcs8).Reveal());
    PrintJson(*session.out, json);
    return OkStatus();
  }
  PrintFields(*session.out,
              {{"SPIFFE ID", id.text()},
               {"Expires", TimeText(response.svid().expires_at(), session.clock->Now())},
               {"Written", Joined(written)}});
  if (written.empty()) {
    *session.out << '\n' << ChainPem(chain) << Pkcs8Pem(pkcs8).Reveal() << ChainPem(roots);
  }
  return OkStatus();
}

Status MintJwt(Session& session, const MintFlags& flags) {
  svidv1::MintJWTSVIDRequest request;
  *request.mutable_id() = TRY(IdMessage(flags.spiffe_id), "--spiffe-id");
  for (const std::string& audience : flags.audience) request.add_audience(audience);
  request.set_ttl(TRY(TtlSeconds(flags.ttl), "--ttl"));
  Target target = ServerTarget(session);
  svidv1::SVID::Stub stub(target.channel);
  auto response = TRY(Call(target, stub, &svidv1::SVID::Stub::MintJWTSVID, request));
  std::string written;
  if (!flags.write.empty()) written = TRY(WriteJwtFile(flags.write, 0, response.svid().token()));
  if (session.output == Output::kJson) {
    Json json = Json::MakeObject();
    json.Set("spiffe_id", IdText(response.svid().id()));
    json.Set("expires_at", int64_t{response.svid().expires_at()});
    json.Set("svid", response.svid().token());
    PrintJson(*session.out, json);
  } else if (written.empty()) {
    *session.out << response.svid().token() << '\n';
  } else {
    PrintFields(*session.out, {{"Written", written}});
  }
  return OkStatus();
}

}  // namespace

void AddSvidMintCommands(CLI::App& svid, Session& session) {
  CLI::App* mint = svid.add_subcommand("mint", "Have the server make an SVID without an entry");
  mint->require_subcommand(1);
  auto x509 = std::make_shared<MintFlags>();
  CLI::App* command = AddCommand(*mint, session, "x509", "Mint an X.509-SVID with a fresh key",
                                 "  writ svid mint x509 --spiffe-id spiffe://example.org/db \\\n"
                                 "    --dns-name db.internal --ttl 1h --write /etc/db/identity",
                                 [&session, x509] { return MintX509(session, *x509); });
  AddChecked(*command, "--spiffe-id", x509->spiffe_id, "The SVID's SPIFFE ID", CheckId)
      ->required();
  command->add_option("--dns-name", x509->dns_names, "DNS name of the SVID (repeat)")
      ->expected(1)
      ->take_all();
  AddChecked(*command, "--ttl", x509->ttl, "Lifetime; 0 is the server\'s default", CheckTtl);
  command->add_option("--write", x509->write, "Directory to write files to (keys 0600)");

  auto jwt = std::make_shared<MintFlags>();
  command = AddCommand(*mint, session, "jwt", "Mint a JWT-SVID",
                       "  writ svid mint jwt --spiffe-id spiffe://example.org/job --audience db",
                       [&session, jwt] { return MintJwt(session, *jwt); });
  AddChecked(*command, "--spiffe-id", jwt->spiffe_id, "The SVID\'s SPIFFE ID", CheckId)->required();
  command->add_option("--audience", jwt->audience, "Who the token is for (repeat)")
      ->required()
      ->expected(1)
      ->take_all();
  AddChecked(*command, "--ttl", jwt->ttl, "Lifetime; 0 is the server\'s default", CheckTtl);
  command->add_option("--write", jwt->write, "Directory to write the token to (0600)");
}

}  // namespace writ
