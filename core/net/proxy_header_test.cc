// SPDX-License-Identifier: Apache-2.0
#include "core/net/proxy_header.h"

#include <gtest/gtest.h>

#include <string>

namespace writ {
namespace {

using State = ProxyHeader::State;

std::string V2(unsigned char command, unsigned char family, const std::string& payload) {
  std::string header("\r\n\r\n\0\r\nQUIT\n", 12);
  header.push_back(static_cast<char>(command));
  header.push_back(static_cast<char>(family));
  header.push_back(static_cast<char>(payload.size() >> 8));
  header.push_back(static_cast<char>(payload.size()));
  return header + payload;
}

const std::string kV4Payload("\xc0\0\2\1\xc6\x33\x64\1\xdc\4\1\xbb", 12);

// Whole, whatever follows; partial at every shorter length.
void ExpectSource(const std::string& header, const std::string& source) {
  for (size_t i = 0; i < header.size(); ++i) {
    Result<ProxyHeader> part = ParseProxyHeader(header.substr(0, i));
    ASSERT_TRUE(part.ok()) << part.status().ToString();
    EXPECT_EQ(part->state, State::kPartial) << i;
  }
  for (const std::string& follows : {std::string(), std::string("\x16\3\1\2\0")}) {
    Result<ProxyHeader> whole = ParseProxyHeader(header + follows);
    ASSERT_TRUE(whole.ok()) << whole.status().ToString();
    EXPECT_EQ(whole->state, State::kWhole);
    EXPECT_EQ(whole->bytes, header.size());
    EXPECT_EQ(whole->source ? whole->source->text() : "", source);
  }
}

TEST(ProxyHeaderTest, Version1NamesTheSource) {
  ExpectSource("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", "192.0.2.1");
  ExpectSource("PROXY TCP6 2001:db8::1 2001:db8::2 0 65535\r\n", "2001:db8::1");
  ExpectSource("PROXY UNKNOWN\r\n", "");
  ExpectSource("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", "");
}

TEST(ProxyHeaderTest, Version2NamesTheSource) {
  ExpectSource(V2(0x21, 0x11, kV4Payload), "192.0.2.1");
  ExpectSource(V2(0x21, 0x11, kV4Payload + "\x04\0\1x"), "192.0.2.1");
  std::string v6 = std::string("\x20\x01\x0d\xb8", 4) + std::string(11, '\0') + "\1" +
                   std::string(20, '\0');
  ExpectSource(V2(0x21, 0x21, v6), "2001:db8::1");
  ExpectSource(V2(0x20, 0x00, ""), "");
  ExpectSource(V2(0x20, 0x11, kV4Payload), "");
  ExpectSource(V2(0x21, 0x00, "whatever"), "");
  ExpectSource(V2(0x21, 0x31, std::string(216, 'u')), "");
}

TEST(ProxyHeaderTest, OtherBeginningsAreNoHeader) {
  for (std::string begin : {"\x16\3\1", "GET / HTTP/1.1", "proxy TCP4", "PRI * HTTP", "PROXYX",
                            "\r\n\r\nX", "\r\n\r\r"}) {
    Result<ProxyHeader> header = ParseProxyHeader(begin);
    ASSERT_TRUE(header.ok());
    EXPECT_EQ(header->state, State::kAbsent) << begin;
  }
}

TEST(ProxyHeaderTest, MalformedHeadersAreRefused) {
  for (const std::string& header : {
           std::string("PROXY \r\n"),
           std::string("PROXY TCP4\r\n"),
           std::string("PROXY TCP5 192.0.2.1 198.51.100.1 1 2\r\n"),
           std::string("PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n"),
           std::string("PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n"),
           std::string("PROXY TCP4  192.0.2.1 198.51.100.1 1 2\r\n"),
           std::string("PROXY TCP4 192.0.2.1 198.51.100.1 1 65536\r\n"),
           std::string("PROXY TCP4 192.0.2.1 198.51.100.1 01 2\r\n"),
           std::string("PROXY TCP4 192.0.2.1 198.51.100.1 +1 2\r\n"),
           std::string("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n"),
           std::string("PROXY TCP6 192.0.2.1 198.51.100.1 1 2\r\n"),
           std::string("PROXY TCP4 192.0.2.1 host 1 2\r\n"),
           "PROXY UNKNOWN " + std::string(100, 'x'),
           V2(0x11, 0x11, kV4Payload),
           V2(0x22, 0x11, kV4Payload),
           V2(0x21, 0x41, kV4Payload),
           V2(0x21, 0x13, kV4Payload),
           V2(0x21, 0x11, kV4Payload.substr(1)),
           V2(0x21, 0x21, kV4Payload),
           V2(0x21, 0x11, std::string(4081, 'x')),
       }) {
    EXPECT_FALSE(ParseProxyHeader(header).ok()) << header;
  }
}

}  // namespace
}  // namespace writ
