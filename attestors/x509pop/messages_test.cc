// SPDX-License-Identifier: Apache-2.0
#include "attestors/x509pop/messages.h"

#include <gtest/gtest.h>

#include "core/base/bytes.h"

namespace writ {
namespace {

const std::string kNonce(kPopNonceBytes, 'n');

TEST(PopMessagesTest, AreWrittenAsSpireWritesThem) {
  EXPECT_EQ(WritePopPayload({"leaf", "ca"}), R"({"certificates":["bGVhZg==","Y2E="]})");
  EXPECT_EQ(WritePopChallenge(PopProof::kRsa, "abc"),
            R"({"rsa_signature":{"nonce":"YWJj"},"ecdsa_signature":null})");
  EXPECT_EQ(WritePopChallenge(PopProof::kEcdsa, "abc"),
            R"({"rsa_signature":null,"ecdsa_signature":{"nonce":"YWJj"}})");
  EXPECT_EQ(*WritePopResponse(PopProof::kRsa, {"abc", "sig"}),
            R"({"rsa_signature":{"nonce":"YWJj","signature":"c2ln"},"ecdsa_signature":null})");
  EXPECT_EQ(*WritePopResponse(PopProof::kEcdsa, {"abc", *HexDecode("3006020101020102")}),
            R"({"rsa_signature":null,"ecdsa_signature":{"nonce":"YWJj","r":"AQ==","s":"Ag=="}})");
}

TEST(PopMessagesTest, WhatIsWrittenIsReadBack) {
  EXPECT_EQ(*ReadPopPayload(WritePopPayload({"leaf", "ca"}), 2),
            (std::vector<std::string>{"leaf", "ca"}));
  for (PopProof proof : {PopProof::kRsa, PopProof::kEcdsa}) {
    EXPECT_EQ(*ReadPopChallenge(proof, WritePopChallenge(proof, kNonce)), kNonce);
    PopResponse response{kNonce, *HexDecode("3006020101020102")};
    Result<PopResponse> read = ReadPopResponse(proof, *WritePopResponse(proof, response));
    ASSERT_TRUE(read.ok()) << read.status().ToString();
    EXPECT_EQ(read->nonce, response.nonce);
    EXPECT_EQ(read->signature, response.signature);
  }
}

TEST(PopMessagesTest, UnknownMembersArePassedOver) {
  EXPECT_TRUE(ReadPopPayload(R"({"x":1,"certificates":["AQ=="],"y":{}})", 1).ok());
}

TEST(PopMessagesTest, HostilePayloadsAreRefused) {
  for (const char* text :
       {"", "null", "[]", "{", "{}", R"({"certificates":null})", R"({"certificates":[]})",
        R"({"certificates":"AQ=="})", R"({"certificates":[1]})", R"({"certificates":[null]})",
        R"({"certificates":["A"]})", R"({"certificates":["AQ"]})", R"({"certificates":["!!!!"]})",
        R"({"certificates":["AQ=="],"certificates":["AQ=="]})",
        R"({"certificates":["AQ==","AQ==","AQ=="]})"}) {
    EXPECT_EQ(ReadPopPayload(text, 2).code(), Code::kInvalidArgument) << text;
  }
  auto said = [](const char* text) { return ReadPopPayload(text, 2).status().message(); };
  EXPECT_TRUE(said("payload").starts_with("failed to unmarshal data: "));
  EXPECT_TRUE(said(R"({"certificates":1})").starts_with("failed to unmarshal data: "));
  EXPECT_TRUE(said(R"({"certificates":["!"]})").starts_with("failed to unmarshal data: "));
  EXPECT_NE(said("{}").find("no certificate to attest"), std::string::npos);
  EXPECT_FALSE(ReadPopPayload(std::string(100'000, '['), 2).ok());
}

TEST(PopMessagesTest, AMessageOfTheOtherProofIsRefused) {
  EXPECT_FALSE(ReadPopChallenge(PopProof::kRsa, WritePopChallenge(PopProof::kEcdsa, kNonce)).ok());
  std::string response = *WritePopResponse(PopProof::kRsa, {kNonce, "s"});
  Status status = ReadPopResponse(PopProof::kEcdsa, response).status();
  EXPECT_EQ(status.code(), Code::kPermissionDenied);
  EXPECT_TRUE(status.message().starts_with(
      "challenge response verification failed: expecting ECDSA response"))
      << status.message();
  for (const char* unproven :
       {"{}", R"({"rsa_signature":null})", R"({"rsa_signature":{}})",
        R"({"rsa_signature":{"nonce":"AQ==","signature":"AQ=="}})"}) {
    EXPECT_EQ(ReadPopResponse(PopProof::kRsa, unproven).code(), Code::kPermissionDenied)
        << unproven;
  }
  for (const char* malformed : {"", "null", "[]", "{", R"({"rsa_signature":7})",
                                R"({"rsa_signature":{"nonce":"?"}})"}) {
    status = ReadPopResponse(PopProof::kRsa, malformed).status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << malformed;
    EXPECT_TRUE(status.message().starts_with("unable to unmarshal challenge response: "))
        << status.message();
  }
}

TEST(PopMessagesTest, NoncesAndNumbersHaveTheirSizes) {
  for (size_t size : {size_t{0}, kPopNonceBytes - 1, kPopNonceBytes + 1}) {
    std::string challenge = WritePopChallenge(PopProof::kRsa, std::string(size, 'n'));
    EXPECT_FALSE(ReadPopChallenge(PopProof::kRsa, challenge).ok()) << size;
  }
  auto response = [](size_t r_bytes, size_t s_bytes) {
    return R"({"ecdsa_signature":{"nonce":")" + Base64Encode(kNonce) + R"(","r":")" +
           Base64Encode(std::string(r_bytes, 'r')) + R"(","s":")" +
           Base64Encode(std::string(s_bytes, 's')) + R"("}})";
  };
  EXPECT_TRUE(ReadPopResponse(PopProof::kEcdsa, response(66, 66)).ok());
  EXPECT_TRUE(ReadPopResponse(PopProof::kEcdsa, response(0, 0)).ok());  // no signature verifies
  EXPECT_FALSE(ReadPopResponse(PopProof::kEcdsa, response(67, 32)).ok());
  EXPECT_FALSE(ReadPopResponse(PopProof::kEcdsa, response(32, 1 << 20)).ok());
  EXPECT_FALSE(ReadPopResponse(PopProof::kRsa, *WritePopResponse(
                                                   PopProof::kRsa,
                                                   {kNonce, std::string(1025, 's')})).ok());
}

}  // namespace
}  // namespace writ
