// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"fmt"
	"strings"
)

var idSeeds = []string{
	"spiffe://example.org/web", "spiffe://example.org", "spiffe://td-1_a.b/a/B/9/_-.",
	"spiffe://a/b",
}

var idTexts = []string{
	"", " ", "/", "spiffe", "spiffe:", "spiffe:/", "spiffe://", "spiffe:///", "spiffe:///path",
	"spiffe:example.org/web", "spiffe:/example.org/web", "spiffe:///example.org/web",
	"SPIFFE://example.org/web", "Spiffe://example.org/web", "spiffE://example.org/web",
	"http://example.org/web", "https://example.org/web", "urn:example", "example.org/web",
	"://example.org/web", "//example.org/web", " spiffe://example.org/web",
	"spiffe://example.org/web ", "spiffe://example.org /web", "spiffe:// example.org/web",
	"spiffe://example.org/web\n", "spiffe://example.org/web\x00", "spiffe://example.org\x00/web",
	"spiffe://Example.org/web", "spiffe://EXAMPLE.ORG/web", "spiffe://exämple.org/web",
	"spiffe://example.org/wéb", "spiffe://example.org/\xff", "spiffe://\xff/web",
	"spiffe://example.org:8080/web", "spiffe://example.org:/web", "spiffe://user@example.org/web",
	"spiffe://user:pw@example.org/web", "spiffe://@example.org/web", "spiffe://[::1]/web",
	"spiffe://1.2.3.4/web", "spiffe://127.0.0.1", "spiffe://-/web", "spiffe://./web",
	"spiffe://../web",
	"spiffe://_/web", "spiffe://a..b/web", "spiffe://.example.org/web", "spiffe://example.org./web",
	"spiffe://-example-/web", "spiffe://xn--exmple-cua.org/web", "spiffe://0/web", "spiffe://a",
	"spiffe://example.org/", "spiffe://example.org//", "spiffe://example.org//web",
	"spiffe://example.org/web/", "spiffe://example.org/a//b", "spiffe://example.org/a/b/",
	"spiffe://example.org/.", "spiffe://example.org/..", "spiffe://example.org/...",
	"spiffe://example.org/....", "spiffe://example.org/./a", "spiffe://example.org/a/.",
	"spiffe://example.org/a/./b", "spiffe://example.org/../a", "spiffe://example.org/a/..",
	"spiffe://example.org/a/../b", "spiffe://example.org/.a", "spiffe://example.org/..a",
	"spiffe://example.org/a.", "spiffe://example.org/a..", "spiffe://example.org/a..b",
	"spiffe://example.org/-", "spiffe://example.org/_", "spiffe://example.org/WEB",
	"spiffe://example.org/web?", "spiffe://example.org/web?a=b", "spiffe://example.org?a=b",
	"spiffe://example.org/web#", "spiffe://example.org/web#a", "spiffe://example.org#a",
	"spiffe://example.org/%77eb", "spiffe://example.org/%2F", "spiffe://example.org/%2e%2e",
	"spiffe://ex%61mple.org/web", "spiffe://example.org/a%00", "spiffe://example.org/%",
	"spiffe://example.org/spire", "spiffe://example.org/spire/server",
	"spiffe://example.org/spire/agent/join_token/x", "spiffe://example.org/web;a", "spiffe://a,b/c",
	"spiffe://example.org/a:b", "spiffe://example.org/a@b", "spiffe://example.org/~a",
	"spiffe://example.org/a+b", "spiffe://example.org/a*b", "spiffe://example.org/a$b",
	"spiffe://example.org/a!b", "spiffe://example.org/a'b", "spiffe://example.org/(a)",
	"spiffe://example.org/a=b", "spiffe://example.org/a&b", "spiffe://example.org\\web",
	"spiffe://example.org/a\\b", "spiffe://example.org/spiffe://example.org/web",
	"spiffe://example.org/\u2024\u2024/a", "spiffe://example.org/\u200b",
	"spiffe://\u0435xample.org/a",
}

// texts and every character in one place of `around`, which has one %s.
func named(texts []string, around ...string) []Case {
	var cases []Case
	for _, text := range texts {
		cases = append(cases, textCase(fmt.Sprintf("%.60q", text), text))
	}
	for _, frame := range around {
		for c := 0x20; c < 0x80; c++ {
			text := fmt.Sprintf(frame, string(rune(c)))
			cases = append(cases, textCase(fmt.Sprintf("%q", text), text))
		}
	}
	return cases
}

func lengths(prefix, name string, sizes ...int) []Case {
	var cases []Case
	for _, size := range sizes {
		text := prefix + strings.Repeat("a", size-len(prefix))
		cases = append(cases, textCase(fmt.Sprintf("%s of %d bytes", name, size), text))
	}
	return cases
}

func spiffeIDs() []Case {
	cases := named(idTexts, "spiffe://example.org/a%sb", "spiffe://exa%smple.org/web")
	cases = append(cases, lengths("spiffe://example.org/", "an ID", 255, 256, 2047, 2048, 2049,
		9000)...)
	cases = append(cases, lengths("spiffe://", "an ID without a path", 9+255, 9+256)...)
	return append(cases, textMutants(1, 200, "/.:-_@%?#A0 ~[", idSeeds...)...)
}

var trustDomainTexts = []string{
	"", " ", ".", "..", "-", "_", "a", "0", "example.org", "Example.org", "EXAMPLE.ORG",
	"example.org.",
	".example.org", "exa mple.org", "example.org/", "example.org/web", "/example.org",
	"//example.org",
	"example.org:8080", "user@example.org", "exämple.org", "xn--exmple-cua.org", "1.2.3.4", "[::1]",
	"spiffe://", "spiffe:///", "spiffe:/example.org", "spiffe:example.org", "spiffe://example.org",
	"spiffe://example.org/", "spiffe://example.org/web", "spiffe://example.org/a//b", "spiffe",
	"spiffe://Example.org", "SPIFFE://example.org", "http://example.org", "https:/example.org",
	"spiffe://example.org/web/", "spiffe://example.org?a", "spiffe://example.org#a", ":/", "a:/b",
	"spiffe://example.org:80", "spiffe://u@example.org", "example.org\n", "example.org\x00", "\xff",
	"spiffe://example.org/spire/server", "spiffe://spiffe://example.org", "%65xample.org",
}

func trustDomains() []Case {
	cases := named(trustDomainTexts, "exa%smple.org")
	cases = append(cases, lengths("", "a name", 1, 254, 255, 256, 2048)...)
	return append(cases, textMutants(2, 100, "/.:-_@%?#A0 ~[", "example.org", "spiffe://td_1")...)
}
