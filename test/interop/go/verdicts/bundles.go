// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/rand"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

func jwkText(key crypto.Signer, kid, use string) string {
	return string(must1(json.Marshal(jose.JSONWebKey{Key: key.Public(), KeyID: kid, Use: use})))
}

// x509Key is the element of a certificate, its key's members left out when `bare`.
func x509Key(s spec, bare bool) string {
	if bare {
		return `{"kty":"EC","use":"x509-svid","x5c":["` +
			base64.StdEncoding.EncodeToString(s.der()) + `"]}`
	}
	var set struct{ Keys []json.RawMessage }
	must(json.Unmarshal(x509Document([]spec{s}), &set))
	return string(set.Keys[0])
}

func document(keys string, rest string) string { return `{"keys":[` + keys + `]` + rest + `}` }

// Elements that are odd, each to stand beside a good one. USE is the use of the document's kind.
func oddKeys() []string { return append(oddMembers(), oddNumbers()...) }

func oddMembers() []string {
	ec, rsa := jwkText(p256, "a", "USE"), jwkText(rsa2048, "a", "USE")
	change := func(text, old, new string) string {
		if !strings.Contains(text, old) {
			panic("no " + old + " in " + text)
		}
		return strings.Replace(text, old, new, 1)
	}
	x := base64url(string(p256.X.FillBytes(make([]byte, 32))))
	private := string(must1(json.Marshal(jose.JSONWebKey{Key: p256, KeyID: "a", Use: "USE"})))
	privateRsa := string(must1(json.Marshal(jose.JSONWebKey{Key: rsa2048, KeyID: "a", Use: "USE"})))
	return []string{ec, rsa, jwkText(p384, "a", "USE"), jwkText(p521, "a", "USE"), jwkText(ed,
		"a", "USE"),
		jwkText(rsa1024, "a", "USE"), jwkText(rsaOdd, "a", "USE"), private, privateRsa,
		jwkText(p256, "", "USE"), jwkText(p256, "good", "USE"), jwkText(otherP256, "good", "USE"),
		jwkText(p256, "a", ""), jwkText(p256, "a", "sig"), jwkText(p256, "a", "wit-svid"),
		jwkText(p256, "", "wit-svid"), jwkText(p256, "a", "JWT-SVID"), jwkText(p256, "a",
			"jwt-svid "),
		jwkText(p256, "", "unknown"), `{"use":"unknown"}`, `{"use":"unknown","kty":"EC"}`,
		`{"use":"unknown","kty":"EC","crv":"P-256","x":"a","y":"b"}`,
		`{"use":"unknown","kty":"foo"}`,
		`{}`, `null`, `[]`, `"a"`, `1`, `{"use":"USE"}`, `{"use":"USE","kid":"a"}`,
		`{"use":"USE","kid":"a","kty":""}`, `{"use":"USE","kid":"a","kty":"foo"}`,
		`{"use":"USE","kid":"a","kty":"ec"}`, `{"use":"USE","kid":"a","kty":null}`,
		`{"use":"USE","kid":"a","kty":1}`, `{"use":"USE","kid":"a","kty":"oct","k":"AAAA"}`,
		`{"use":"USE","kid":"a","kty":"oct"}`, `{"use":"USE","kid":"a","kty":"EC"}`,
		`{"use":"USE","kid":"a","kty":"RSA"}`, `{"use":"USE","kid":"a","kty":"OKP"}`,
		`{"use":"USE","kid":"a","kty":"OKP","crv":"X25519","x":"` + x + `"}`,
		`{"use":"USE","kid":"a","kty":"OKP","crv":"Ed25519","x":"AAAA"}`,
		`{"use":"USE","kid":"a","kty":"OKP","crv":"Ed448","x":"` + x + `"}`,
		change(ec, `"P-256"`, `"P-384"`), change(ec, `"P-256"`, `"secp256k1"`), change(ec,
			`"P-256"`, `"p-256"`),
		change(ec, `"P-256"`, `null`), change(ec, `"P-256"`, `1`), change(ec, `"kid":"a"`,
			`"kid":1`),
		change(ec, `"kid":"a"`, `"kid":null`), change(ec, `"use":"USE"`, `"use":1`),
		change(ec, `"use":"USE"`, `"use":null`), change(ec, `"use":"USE"`, `"use":["USE"]`),
		change(ec, `{`, `{"alg":"ES256",`), change(ec, `{`, `{"alg":"HS256",`), change(ec, `{`,
			`{"alg":1,`),
		change(ec, `{`, `{"key_ops":["verify"],`), change(ec, `{`, `{"key_ops":1,`), change(ec,
			`{`, `{"a":{"b":1},`),
		change(ec, `{`, `{"x5t":"AA",`), change(ec, `{`, `{"x5t#S256":"AA",`), change(ec, `{`,
			`{"x5t":1,`),
		change(ec, `{`, `{"x5u":"https://a.test",`), change(ec, `{`, `{"x5u":"%",`), change(ec,
			`{`, `{"x5c":[],`),
		change(ec, `{`, `{"x5c":null,`), change(ec, `{`, `{"x5c":["a"],`), change(ec, `{`,
			`{"x5c":1,`),
		change(ec, `{`, `{"kid":"b",`), change(ec, `{`, `{"exp":1,`), change(ec, `{`, `{"d":null,`),
		change(ec, `{`, `{"d":"",`), change(ec, `{`, `{"d":1,`), change(ec, `"kty"`, `"KTY"`),
		change(ec, `"kid"`, `"Kid"`),
		change(ec, `"kid":"a"`, `"kid":"\u0061"`), change(ec, `"kid":"a"`, `"kid":"ä b"`),
	}
}

// Keys whose numbers are no points and no RSA keys, or oddly written.
func oddNumbers() []string {
	point := func(x, y string) string {
		return `{"use":"USE","kid":"a","kty":"EC","crv":"P-256","x":"` + x + `","y":"` + y + `"}`
	}
	numbers := func(n, e string) string {
		return `{"use":"USE","kid":"a","kty":"RSA","n":"` + n + `","e":"` + e + `"}`
	}
	x := base64url(string(p256.X.FillBytes(make([]byte, 32))))
	y := base64url(string(p256.Y.FillBytes(make([]byte, 32))))
	n := base64url(string(rsa2048.N.Bytes()))
	return []string{
		point(x, ""), point("", y), point(x, x), point(y, x), point("AA", "AA"), point(x+"AA", y),
		point(x+"=", y),
		point(x+"==", y), point(" "+x, y), point(x+"\\n", y), point("AA"+x, y), point("!", y),
		point(x[:42], y),
		`{"use":"USE","kid":"a","kty":"EC","crv":"P-256","x":"` + x + `"}`,
		`{"use":"USE","kid":"a","kty":"EC","crv":"P-256","x":1,"y":2}`,
		numbers(n, ""), numbers("", "AQAB"), numbers(n, "AQ"), numbers(n, "Ag"), numbers(n, "AA"),
		numbers(n, "Aw"),
		numbers(n, "AAEAAQ"), numbers("AA"+n, "AQAB"), numbers(n, "AQAAAAE"), numbers(n,
			"AQAAAAAAAAAB"),
		numbers("Aw", "AQAB"), numbers(n+"=", "AQAB"), numbers(n[:170], "AQAB"),
		numbers(n+n+n+n+n, "AQAB"),
	}
}

// Documents by their frame: `good` is an element that is right.
func frames(good string) []string {
	return []string{``, ` `, `{}`, `[]`, `null`, `"a"`, `1`, `{`, `{"keys":null}`, `{"keys":{}}`,
		`{"keys":1}`,
		`{"keys":[]}`, `{"Keys":[` + good + `]}`, `{"keys":[` + good + `],"keys":[]}`,
		document(good, ""),
		" \n\t" + document(good, "") + "\n", document(good, "") + "x", document(good, "") + "{}",
		"\ufeff" + document(good, ""), document(good+",", ""), document(good, `,`),
		document(good+","+good, ""),
		document(good, `,"a":{"b":[1]}`), document(good, ",\"a\":\"\xff\""), document("",
			`,"a":1,"a":2`),
		document(good, `,"spiffe_sequence":0`), document(good, `,"spiffe_sequence":1`),
		document(good, `,"spiffe_sequence":-1`), document(good, `,"spiffe_sequence":1.5`),
		document(good, `,"spiffe_sequence":1.0`), document(good, `,"spiffe_sequence":1e3`),
		document(good, `,"spiffe_sequence":"1"`), document(good, `,"spiffe_sequence":null`),
		document(good, `,"spiffe_sequence":true`), document(good,
			`,"spiffe_sequence":9007199254740993`),
		document(good, `,"spiffe_sequence":9223372036854775807`),
		document(good, `,"spiffe_sequence":9223372036854775808`),
		document(good, `,"spiffe_sequence":18446744073709551615`),
		document(good, `,"spiffe_sequence":18446744073709551616`), document(good,
			`,"spiffe_refresh_hint":0`),
		document(good, `,"spiffe_refresh_hint":300`), document(good, `,"spiffe_refresh_hint":-1`),
		document(good, `,"spiffe_refresh_hint":1.5`), document(good,
			`,"spiffe_refresh_hint":"300"`),
		document(good, `,"spiffe_refresh_hint":null`), document(good,
			`,"spiffe_refresh_hint":9223372036`),
		document(good, `,"spiffe_refresh_hint":9223372037`), document(good, `,"SPIFFE_SEQUENCE":7`),
		document(good, `,"spiffe_sequence":1,"spiffe_sequence":2`)}
}

func x509Elements() []string {
	key := x509Key(root, false)
	bare := x509Key(root, true)
	list := base64.StdEncoding.EncodeToString(root.der())
	x5c := func(value string) string { return `{"kty":"EC","use":"x509-svid","x5c":` + value + `}` }
	swap := func(old, new string) string { return strings.Replace(key, old, new, 1) }
	return []string{key, bare, x509Key(rsaRoot, false), x509Key(edRoot, false), x509Key(otherRoot,
		false),
		x509Key(leaf(root), false), key + "," + key, key + "," + x509Key(unrelated, false),
		x5c(`[]`), x5c(`null`),
		x5c(`"` + list + `"`), x5c(`[1]`), x5c(`[""]`), x5c(`["` + list + `","` + list + `"]`),
		x5c(`["!"]`),
		x5c(`["` + list[:len(list)-4] + `"]`), x5c(`["` + list + `",""]`), x5c(`["` + list +
			`AAAA"]`),
		x5c(`["` + list + `","a"]`), x5c(`["` + strings.ReplaceAll(list, "+", "-") + `"]`),
		x5c(`["` + strings.TrimRight(list, "=") + `"]`), x5c(`[" ` + list + `"]`), x5c(`["` +
			list[:64] + `\n` + list[64:] + `"]`),
		`{"kty":"EC","use":"x509-svid"}`, jwkText(p256, "", "x509-svid"), jwkText(p256, "a",
			"x509-svid"),
		swap(`"kty"`, `"kid":"a","kty"`), swap(`"EC"`, `"RSA"`), swap(`"P-256"`, `"P-384"`),
		swap(`"x":"`, `"x":"A`),
		swap(`"use":"x509-svid"`, `"use":"X509-SVID"`), swap(`"use":"x509-svid"`,
			`"use":"unknown"`),
		swap(`"kty"`, `"alg":"ES256","kty"`), swap(`"kty":"EC",`, ``), swap(`"kty":"EC"`,
			`"kty":"foo"`),
		`{"kty":"EC","crv":"P-256","x":"` + "a" + `","use":"x509-svid","x5c":["` + list + `"]}`,
		strings.Replace(jwkText(otherP256, "", "x509-svid"), `{`, `{"x5c":["`+list+`"],`, 1)}
}

func spiffeBundles() []Case {
	const use = "jwt-svid"
	good := jwkText(p384, "good", use)
	var texts []string
	texts = append(texts, frames(good)...)
	for _, key := range oddKeys() {
		key = strings.ReplaceAll(key, "USE", use)
		texts = append(texts, document(good+","+key, ""))
	}
	for _, element := range x509Elements() {
		texts = append(texts, document(element+","+good, ""))
	}
	all := document(x509Key(root, false)+","+good+","+jwkText(rsa2048, "r", use),
		`,"spiffe_sequence":12,"spiffe_refresh_hint":300`)
	return append(numbered(texts), mutants(5, 150, all)...)
}

func jwksDocuments() []Case {
	good := jwkText(p384, "good", "")
	var texts []string
	for _, frame := range frames(good) {
		if !strings.Contains(frame, "spiffe_") {
			texts = append(texts, frame)
		}
	}
	for _, key := range oddKeys() {
		texts = append(texts, document(good+","+strings.ReplaceAll(key, `"use":"USE",`, ""), ""))
	}
	return append(numbered(texts), mutants(6, 100, document(good+","+jwkText(p256, "b", ""),
		""))...)
}

func numbered(texts []string) []Case {
	var cases []Case
	for i, text := range texts {
		shown := text
		for _, part := range []string{jwkText(p384, "good", "jwt-svid"), jwkText(p384, "good",
			"")} {
			shown = strings.ReplaceAll(shown, part, "GOOD")
		}
		cases = append(cases, textCase(fmt.Sprintf("%d: %.90q", i, shown), text))
	}
	return cases
}

func mutants(seed int64, count int, text string) []Case {
	random := rand.New(rand.NewSource(seed))
	var cases []Case
	for i := 0; i < count; i++ {
		cases = append(cases, textCase(fmt.Sprintf("mutant %d", i), string(mutate(random,
			[]byte(text)))))
	}
	return cases
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func pemBundles() []Case {
	a, b := pemOf("CERTIFICATE", root.der()), pemOf("CERTIFICATE", rsaRoot.der())
	key := pemOf("PUBLIC KEY", spkiOf(p256))
	texts := []string{"", " ", "a", a, b, a + b, a + a, a + "\n\n" + b, "# a comment\n" + a, a +
		"# a comment\n" + b,
		a + "after", "before " + a, key, a + key, key + a, strings.ReplaceAll(a, "\n", "\r\n"),
		strings.Replace(a, "BEGIN CERTIFICATE", "BEGIN X509 CERTIFICATE", 1),
		strings.ReplaceAll(a, "CERTIFICATE", "X509 CERTIFICATE"), strings.ReplaceAll(a,
			"CERTIFICATE", "TRUSTED CERTIFICATE"),
		strings.ReplaceAll(a, "-----", "----"), a[:len(a)-30], a[:60], strings.Replace(a, "\n",
			"\nA: b\n\n", 1),
		strings.Replace(a, "M", "!", 1), pemOf("CERTIFICATE", root.der()[:100]),
		pemOf("CERTIFICATE", append(root.der(), 0)),
		pemOf("CERTIFICATE", join(root.der(), rsaRoot.der())), pemOf("CERTIFICATE", nil), a +
			pemOf("CERTIFICATE", nil),
		strings.TrimRight(a, "\n"), " " + a, strings.ReplaceAll(a, "\n", "\n ")}
	return append(numbered(texts), mutants(7, 60, a)...)
}
