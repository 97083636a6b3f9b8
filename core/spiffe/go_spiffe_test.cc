// SPDX-License-Identifier: Apache-2.0
//
// go-spiffe judges Writ: the cases of test/golden/go_spiffe, each with what go-spiffe found in it,
// are judged again by our parsers and validators. Where Writ differs on purpose, the case says why.
// test/interop/go/verdicts makes the data and holds it to the real go-spiffe.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "core/base/bytes.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/crypto/digest.h"
#include "core/spiffe/bundle.h"
#include "core/spiffe/svid.h"
#include "test/support/paths.h"

namespace writ {
namespace {

constexpr size_t kFingerprintBytes = 8;

std::string Text(const Json& object, std::string_view name) {
  const Json* member = object.Find(name);
  return member == nullptr ? std::string() : *member->AsString();
}

std::string InputOf(const Json& test) {
  if (test.Find("text") != nullptr) return Text(test, "text");
  return Base64Decode(Text(test, "base64")).value();
}

std::string Fingerprint(std::string_view der) {
  return HexEncode(Sha256(der).substr(0, kFingerprintBytes));
}

Json RootsOf(const std::vector<X509Authority>& authorities) {
  Json roots = Json::MakeArray();
  for (const X509Authority& authority : authorities) {
    roots.Add(Fingerprint(authority.certificate.der()));
  }
  return roots;
}

Json KeysOf(const std::vector<JwtAuthority>& authorities) {
  Json keys = Json::MakeObject();
  for (const JwtAuthority& authority : authorities) {
    keys.Set(authority.key_id, Fingerprint(authority.key.spki()));
  }
  return keys;
}

using Bundles = std::map<std::string, std::vector<Bundle>>;

struct Context {
  TrustDomain td = TrustDomain::Parse("example.org").value();
  Bundles bundles;
  Time now;
};

// What Writ finds in a case, as the data writes it; null: refused.
Json JudgeId(const Json& test, const Context&) {
  Result<SpiffeId> id = SpiffeId::Parse(InputOf(test));
  if (!id.ok()) return Json();
  return Json::MakeObject()
      .Set("id", id->text())
      .Set("trust_domain", id->trust_domain_name())
      .Set("path", id->path());
}

Json JudgeTrustDomain(const Json& test, const Context&) {
  Result<TrustDomain> td = TrustDomain::Parse(InputOf(test));
  return td.ok() ? Json::MakeObject().Set("trust_domain", td->name()) : Json();
}

// The path that was found, as go-spiffe writes one of its own.
Json JudgeX509(const Json& test, const Context& context) {
  std::vector<Certificate> chain;
  const Json* list = test.Find("chain");
  for (const Json& text : list == nullptr ? Json::Array() : *list->AsArray()) {
    Result<Certificate> certificate = Certificate::FromDer(Base64Decode(*text.AsString()).value());
    if (!certificate.ok()) return Json();
    chain.push_back(std::move(certificate).value());
  }
  Result<VerifiedX509Svid> svid =
      VerifyX509Svid(chain, context.bundles.at(Text(test, "bundles")), context.now);
  if (!svid.ok()) return Json();
  std::string path;
  for (const Certificate& certificate : svid->path) path += Fingerprint(certificate.der()) + " ";
  return Json::MakeObject().Set("id", svid->id.text()).Set("paths", Json(Json::Array{path}));
}

Json JudgeJwt(const Json& test, const Context& context) {
  Result<JwtSvid> svid = ValidateJwtSvid(InputOf(test), Text(test, "audience"),
                                         context.bundles.at(Text(test, "bundles")), context.now);
  if (!svid.ok()) return Json();
  Json audience = Json::MakeArray();
  for (const std::string& value : svid->audience) audience.Add(value);
  return Json::MakeObject()
      .Set("id", svid->id.text())
      .Set("audience", std::move(audience))
      .Set("expires_at", ToUnixSeconds(svid->expires_at))
      .Set("claims", svid->claims);
}

Json JudgeBundle(const Json& test, const Context& context) {
  Result<Bundle> bundle = FromSpiffeJson(context.td, InputOf(test));
  if (!bundle.ok()) return Json();
  return Json::MakeObject()
      .Set("sequence", bundle->sequence_number)
      .Set("refresh_hint", bundle->refresh_hint_seconds)
      .Set("x509", RootsOf(bundle->x509))
      .Set("jwt", KeysOf(bundle->jwt));
}

Json JudgeJwks(const Json& test, const Context&) {
  Result<std::vector<JwtAuthority>> authorities = FromWorkloadJwks(InputOf(test));
  return authorities.ok() ? Json::MakeObject().Set("jwt", KeysOf(*authorities)) : Json();
}

Json JudgePem(const Json& test, const Context& context) {
  Result<Bundle> bundle = ParseBundleFile(context.td, InputOf(test));
  return bundle.ok() ? Json::MakeObject().Set("x509", RootsOf(bundle->x509)) : Json();
}

// Equal, whatever the order of members and the spelling of numbers.
bool Same(const Json& a, const Json& b) {
  if (a.IsNumber() && b.IsNumber()) return *a.AsDouble() == *b.AsDouble();
  if (a.IsArray() && b.IsArray()) {
    return std::equal(a.AsArray()->begin(), a.AsArray()->end(), b.AsArray()->begin(),
                      b.AsArray()->end(), Same);
  }
  if (!a.IsObject() || !b.IsObject()) return a == b;
  return a.AsObject()->size() == b.AsObject()->size() &&
         std::all_of(a.AsObject()->begin(), a.AsObject()->end(), [&b](const Json::Member& member) {
           const Json* other = b.Find(member.first);
           return other != nullptr && Same(member.second, *other);
         });
}

// What go-spiffe found, in the form of `ours`: it returns every path where Writ returns one, and
// its claims stand as text, which may be nested more deeply than our JSON reader goes.
Json Comparable(Json found, const Json& ours) {
  if (found.IsNull() || ours.IsNull()) return found;
  if (found.Find("claims") != nullptr) {
    found.Set("claims", Json::Parse(Text(found, "claims")).value());
  }
  if (found.Find("paths") != nullptr) {
    const Json own = ours.Find("paths")->AsArray()->front();
    const Json::Array& paths = *found.Find("paths")->AsArray();
    if (std::find(paths.begin(), paths.end(), own) != paths.end()) {
      found.Set("paths", Json(Json::Array{own}));
    }
  }
  return found;
}

struct Kind {
  std::string name;
  Json (*judge)(const Json& test, const Context& context);
};

class GoSpiffeTest : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    std::string path = SourcePath("test/golden/go_spiffe/" + GetParam().name + ".json");
    data_ = Json::Parse(ReadFile(path).value()).value();
    context_.now = FromUnixSeconds(data_.Find("time")->AsInt64().value());
    const Json* bundles = data_.Find("bundles");
    if (bundles == nullptr) return;
    for (const auto& [name, documents] : *bundles->AsObject()) {
      std::vector<Bundle>& set = context_.bundles[name];
      for (const auto& [td, document] : *documents.AsObject()) {
        set.push_back(FromSpiffeJson(TrustDomain::Parse(td).value(), document.Dump()).value());
      }
    }
  }

  Json data_;
  Context context_;
};

// How Writ's verdict lies to go-spiffe's, as the data names it.
std::string Relation(const Json& ours, const Json& theirs) {
  if (Same(ours, theirs)) return "agrees";
  if (ours.IsNull()) return "refuses";
  return theirs.IsNull() ? "accepts" : "reads otherwise";
}

TEST_P(GoSpiffeTest, AgreesInEveryCaseButTheNamedOnes) {
  const Json& differences = *data_.Find("differences");
  std::map<std::string, int64_t> counts;
  for (const Json& test : *data_.Find("cases")->AsArray()) {
    Json ours = GetParam().judge(test, context_);
    Json theirs = Comparable(*test.Find("go_spiffe"), ours);
    std::string reason = Text(test, "differs");
    if (!reason.empty()) ++counts[reason];
    const Json* difference = differences.Find(reason);
    ASSERT_TRUE(reason.empty() || difference != nullptr) << "no reason " << reason;
    EXPECT_EQ(Relation(ours, theirs), reason.empty() ? "agrees" : Text(*difference, "writ"))
        << Text(test, "name") << "\n  go-spiffe: " << theirs.Dump()
        << "\n  Writ:      " << ours.Dump() << "\n  difference on purpose: " << reason;
  }
  for (const auto& [reason, difference] : *differences.AsObject()) {
    EXPECT_EQ(counts[reason], difference.Find("cases")->AsInt64().value()) << reason;
    EXPECT_FALSE(Text(difference, "why").empty()) << reason;
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, GoSpiffeTest,
                         testing::Values(Kind{"spiffe_id", JudgeId},
                                         Kind{"trust_domain", JudgeTrustDomain},
                                         Kind{"x509_svid", JudgeX509}, Kind{"jwt_svid", JudgeJwt},
                                         Kind{"spiffe_bundle", JudgeBundle},
                                         Kind{"jwks", JudgeJwks}, Kind{"pem_bundle", JudgePem}),
                         [](const testing::TestParamInfo<Kind>& info) { return info.param.name; });

}  // namespace
}  // namespace writ
