// SPDX-License-Identifier: Apache-2.0
#include "core/net/ip.h"

#include <gtest/gtest.h>

#include <string>

namespace writ {
namespace {

bool Within(const char* address, const char* range) {
  return IpRange::Parse(range)->Contains(*IpAddress::Parse(address));
}

TEST(IpAddressTest, MappedIpv4IsIpv4) {
  EXPECT_EQ(IpAddress::Parse("::ffff:10.1.2.3")->text(), "10.1.2.3");
  EXPECT_EQ(IpAddress::Parse("10.1.2.3")->ClientName(), "10.1.2.3");
}

TEST(IpAddressTest, OneIpv6HostIsOneClientWhateverItsAddresses) {
  EXPECT_EQ(IpAddress::Parse("2001:db8:0:1::1")->text(), "2001:db8:0:1::1");
  EXPECT_EQ(IpAddress::Parse("2001:db8:0:1::1")->ClientName(), "2001:db8:0:1::/64");
  EXPECT_EQ(IpAddress::Parse("2001:db8:0:1:ffff::2")->ClientName(), "2001:db8:0:1::/64");
}

TEST(IpAddressTest, RefusesWhatIsNoAddress) {
  for (std::string text : {"", "10.1.2", "10.1.2.3.4", "010.1.2.3", "10.1.2.256", " 10.1.2.3",
                           "fe80::1%eth0", "[::1]", "host", "::1/128"}) {
    EXPECT_FALSE(IpAddress::Parse(text).ok()) << text;
  }
  EXPECT_FALSE(IpAddress::Parse(std::string_view("10.1.2.3\0", 9)).ok());
}

TEST(IpRangeTest, ContainsByTheBitsOfThePrefix) {
  EXPECT_TRUE(Within("10.255.0.1", "10.0.0.0/8"));
  EXPECT_FALSE(Within("11.0.0.1", "10.0.0.0/8"));
  EXPECT_TRUE(Within("172.31.0.1", "172.16.0.0/12"));
  EXPECT_FALSE(Within("172.32.0.1", "172.16.0.0/12"));
  EXPECT_TRUE(Within("192.0.2.7", "192.0.2.7/32"));
  EXPECT_TRUE(Within("192.0.2.7", "0.0.0.0/0"));
  EXPECT_FALSE(Within("2001:db8::1", "0.0.0.0/0"));
  EXPECT_TRUE(Within("2001:db8::1", "2001:db8::/33"));
  EXPECT_FALSE(Within("2001:db8:8000::1", "2001:db8::/33"));
  EXPECT_TRUE(Within("::ffff:10.0.0.1", "10.0.0.0/8"));
}

TEST(IpRangeTest, RefusesWhatIsNoRange) {
  for (const char* text : {"", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x",
                           "10.0.0/8", "::/129", "/8"}) {
    EXPECT_FALSE(IpRange::Parse(text).ok()) << text;
  }
}

}  // namespace
}  // namespace writ
