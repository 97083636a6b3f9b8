// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"crypto"
	"crypto/ecdsa"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

const (
	goodHeader = `{"alg":"ES256","kid":"es256","typ":"JWT"}`
	goodClaims = `{"sub":"spiffe://example.org/web","aud":["reports","audit"],"exp":1800000300,` +
		`"iat":1799999990}`
)

// The JWT authorities of each case's bundle.
var jwtBundles = map[string]map[string]map[string]crypto.Signer{
	"main": {
		"example.org": {"es256": p256, "es384": p384, "es512": p521, "rsa": rsa2048,
			"rsa3": rsaOdd, "a b\u00e4": p256},
		"example.com": {"es256": otherP256},
	},
	"none":  {"example.com": {"es256": p256}},
	"empty": {"example.org": {}},
}

func jwtDocument(keys map[string]crypto.Signer) json.RawMessage {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for kid, key := range sortedByName(keys) {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Public(), KeyID: kid, Use: "jwt-svid"})
	}
	return must1(json.Marshal(set))
}

func base64url(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// rawSignature is r and s as RFC 7518 has them.
func rawSignature(der []byte, width int) []byte {
	var numbers struct{ R, S *big.Int }
	must1(asn1.Unmarshal(der, &numbers))
	return append(numbers.R.FillBytes(make([]byte, width)), numbers.S.FillBytes(make([]byte,
		width))...)
}

func signToken(input string, key crypto.Signer, hash crypto.Hash, salt int) []byte {
	signature := sign(key, hash, []byte(input), salt)
	if curve, ok := key.(*ecdsa.PrivateKey); ok {
		return rawSignature(signature, (curve.Params().BitSize+7)/8)
	}
	return signature
}

func token(header, claims string) string {
	input := base64url(header) + "." + base64url(claims)
	return input + "." + base64url(string(signToken(input, p256, crypto.SHA256, -1)))
}

func jwtCase(name, token string) Case {
	made := textCase(name, token)
	made.Bundles, made.Aud = "main", "reports"
	return made
}

var headers = []string{
	`{}`, `[]`, `null`, `"a"`, `1`, ``, `{`, `{"alg":"ES256"}`, `{"alg":"ES256","kid":""}`,
	`{"alg":"ES256","kid":"nobody"}`, `{"alg":"ES256","kid":1}`, `{"alg":"ES256","kid":null}`,
	`{"kid":"es256"}`, `{"alg":null,"kid":"es256"}`, `{"alg":1,"kid":"es256"}`,
	`{"alg":"","kid":"es256"}`, `{"alg":"none","kid":"es256"}`, `{"alg":"None","kid":"es256"}`,
	`{"alg":"HS256","kid":"es256"}`, `{"alg":"EdDSA","kid":"es256"}`,
	`{"alg":"ES256K","kid":"es256"}`,
	`{"alg":"es256","kid":"es256"}`, `{"alg":"ES384","kid":"es256"}`,
	`{"alg":"ES512","kid":"es256"}`,
	`{"alg":"RS256","kid":"es256"}`, `{"alg":"PS256","kid":"es256"}`,
	`{"alg":"ES256","kid":"es384"}`,
	`{"alg":"ES256","kid":"rsa"}`, `{"alg":"ES256","kid":"a b\u00e4"}`,
	`{"alg":"ES256","kid":"ES256"}`,
	`{"alg":"ES256","kid":"es256","typ":"JOSE"}`, `{"alg":"ES256","kid":"es256","typ":"jwt"}`,
	`{"alg":"ES256","kid":"es256","typ":""}`, `{"alg":"ES256","kid":"es256","typ":null}`,
	`{"alg":"ES256","kid":"es256","typ":1}`, `{"alg":"ES256","kid":"es256","typ":["JWT"]}`,
	`{"alg":"ES256","kid":"es256","typ":"wit+jwt"}`, `{"alg":"ES256","kid":"es256","typ":"at+jwt"}`,
	`{"alg":"ES256","kid":"es256","crit":["exp"]}`, `{"alg":"ES256","kid":"es256","crit":[]}`,
	`{"alg":"ES256","kid":"es256","crit":null}`,
	`{"alg":"ES256","kid":"es256","crit":["b64"],"b64":true}`,
	`{"alg":"ES256","kid":"es256","crit":["b64"],"b64":false}`,
	`{"alg":"ES256","kid":"es256","b64":false}`,
	`{"alg":"ES256","kid":"es256","b64":true}`, `{"alg":"ES256","kid":"es256","crit":"exp"}`,
	`{"alg":"ES256","kid":"es256","jku":"https://a.test/keys"}`,
	`{"alg":"ES256","kid":"es256","cty":"JWT"}`,
	`{"alg":"ES256","kid":"es256","x5u":"https://a.test"}`,
	`{"alg":"ES256","kid":"es256","x5c":[]}`,
	`{"alg":"ES256","kid":"es256","x5c":["a"]}`, `{"alg":"ES256","kid":"es256","x5t":"a"}`,
	`{"alg":"ES256","kid":"es256","jwk":null}`, `{"alg":"ES256","kid":"es256","jwk":{}}`,
	`{"alg":"ES256","kid":"es256","nonce":"a"}`, `{"alg":"ES256","kid":"es256","nonce":1}`,
	`{"alg":"ES256","kid":"es256","a":{"b":[1,2,null]}}`,
	`{"alg":"ES256","kid":"es256","kid":"es256"}`,
	`{"alg":"ES256","kid":"es256","KID":"nobody"}`, `{"alg":"ES256","Kid":"es256"}`,
	`{"ALG":"ES256","kid":"es256"}`, ` {"alg":"ES256","kid":"es256"} `,
	`{"alg":"ES256","kid":"es256"}x`,
	`{"alg":"ES256","kid":"es256"}{}`, `{"alg":"ES256","kid":"es256",}`,
	"{\"alg\":\"ES256\",\"kid\":\"\xff\"}",
	"\ufeff" + goodHeader, `{"alg":"ES256","kid":"es256","zip":"DEF"}`,
	`{"alg":"ES256","kid":"es256","enc":"A"}`,
}

// Claims sets: each of these in the place of one member of the good ones, or all of them.
var (
	subjects = []string{`""`, `null`, `1`, `[]`, `["spiffe://example.org/web"]`, `"web"`,
		`"spiffe://example.org"`, `"spiffe://example.org/"`, `"spiffe://Example.org/web"`,
		`"spiffe://example.com/web"`, `"spiffe://example.net/web"`, `"https://example.org/web"`,
		`"spiffe://example.org/a//b"`, `"spiffe://example.org/web?a"`,
		`"spiffe://example.org/\u0077eb"`,
		`"spiffe:\/\/example.org\/web"`, `" spiffe://example.org/web"`,
		`"spiffe://example.org/spire/server"`}
	audiences = []string{`"reports"`, `"other"`, `["other"]`, `[]`, `[""]`, `""`, `null`, `1`,
		`true`, `{}`,
		`["reports",1]`, `["reports",null]`, `[["reports"]]`, `["other","reports"]`, `"Reports"`,
		`"reports "`, `["reports","reports"]`, `"rep\u006frts"`}
	expiries = []string{`1800000000`, `1799999999`, `1799999941`, `1799999940`, `1799999939`, `0`,
		`-1`,
		`1`, `1.8000003e9`, `1800000300.9`, `1799999939.9`, `1799999940.5`, `"1800000300"`,
		`null`, `true`,
		`[]`, `{}`, `1e18`, `4611686018427387903`, `4611686018427387904`, `9223372036854775807`,
		`1e19`,
		`1e30`, `1e308`, `1e400`, `-1e30`, `253402300799`, `253402300800`, `9000000000`,
		`9000000001`,
		`9223372036`, `9223372037`, `01800000300`, `1800000300.`, `+1800000300`, `0x6b49d200`,
		`NaN`}
	starts = []string{`1800000000`, `1800000059`, `1800000060`, `1800000061`, `1800000060.9`,
		`1800000061.0`, `0`, `-1`, `null`, `"1"`, `true`, `1e18`, `1e19`, `-1e19`,
		`9223372036854775807`}
	texts = []string{`"a"`, `""`, `null`, `1`, `[]`, `{}`, `true`}
)

func claims(sub, aud, exp, rest string) string {
	return `{"sub":` + sub + `,"aud":` + aud + `,"exp":` + exp + rest + `}`
}

func claimSets() []string {
	const sub, aud, exp = `"spiffe://example.org/web"`, `"reports"`, `1800000300`
	sets := []string{``, `{}`, `[]`, `null`, `"a"`, `1`, `{`, goodClaims + " ", goodClaims + "x",
		goodClaims + "{}",
		`{"aud":"reports","exp":1800000300}`, `{"sub":` + sub + `,"exp":1800000300}`,
		`{"sub":` + sub + `,"aud":"reports"}`, "\ufeff" + goodClaims,
		claims(sub, aud, exp, `,"sub":"spiffe://example.org/db"`), claims(sub, aud, exp,
			`,"exp":1800000400`),
		claims(sub, aud, exp, `,"aud":"other"`), claims(sub, aud, exp,
			`,"Sub":"spiffe://example.org/db"`),
		claims(sub, aud, exp, `,"EXP":1`), claims(sub, aud, exp, `,"AUD":"other"`), claims(sub,
			aud, exp, `,"a":1,"a":2`),
		claims(sub, aud, exp, `,"NBF":1900000000`), `{"Sub":` + sub +
			`,"Aud":"reports","Exp":1800000300}`,
		claims(sub, aud, exp, `,"b":{"c":[1,2.5,-3,1e2,true,false,null,"d",{}]}`),
		claims(sub, aud, exp, `,"cnf":{"jwk":{}}`), claims(sub, aud, exp, `,"act":{"sub":"a"}`),
		claims(sub, aud, exp, `,"n":9007199254740993`), claims(sub, aud, exp, `,"n":1e400`),
		claims(sub, aud, exp, `,"n":-0`), claims(sub, aud, exp, `,"n":-0.0`),
		claims(sub, aud, exp, `,"n":123456789012345678901234567890`), claims(sub, aud, exp,
			`,"":1`),
		claims(sub, aud, exp, `,"u":"\ud800"`), claims(sub, aud, exp, `,"u":"\ud83d\ude00"`),
		claims(sub, aud, exp, `,"u":"\u0000"`), claims(sub, aud, exp, ",\"u\":\"\xff\""),
		claims(sub, aud, exp, ",\"u\":\"\x01\""), claims(sub, aud, exp, ",\"u\":\"a\tb\""),
		claims(sub, aud, exp, `,"u":"\x"`), claims(sub, aud, exp, `,`), claims(sub, aud, exp,
			`,"a":nul`),
		claims(sub, aud, exp, `/**/`), claims(sub, aud, exp, `,"a":'b'`),
		claims(sub, aud, exp, `,"deep":`+strings.Repeat("[", 20)+strings.Repeat("]", 20)),
		claims(sub, aud, exp, `,"deep":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)),
		claims(sub, aud, exp, `,"deep":`+strings.Repeat(`{"a":`, 31)+"1"+strings.Repeat("}", 31)),
		claims(sub, `["`+strings.Repeat(`a","`, 1200)+`reports"]`, exp, ``),
	}
	for _, value := range subjects {
		sets = append(sets, claims(value, aud, exp, ``))
	}
	for _, value := range audiences {
		sets = append(sets, claims(sub, value, exp, ``))
	}
	for _, value := range expiries {
		sets = append(sets, claims(sub, aud, value, ``))
	}
	for _, name := range []string{"nbf", "iat"} {
		for _, value := range starts {
			sets = append(sets, claims(sub, aud, exp, `,"`+name+`":`+value))
		}
	}
	for _, name := range []string{"iss", "jti"} {
		for _, value := range texts {
			sets = append(sets, claims(sub, aud, exp, `,"`+name+`":`+value))
		}
	}
	return sets
}

func jwtSVIDs() ([]Case, map[string]map[string]json.RawMessage) {
	bundles := map[string]map[string]json.RawMessage{}
	for name, domains := range jwtBundles {
		bundles[name] = map[string]json.RawMessage{}
		for domain, keys := range domains {
			bundles[name][domain] = jwtDocument(keys)
		}
	}
	var cases []Case
	for i, header := range headers {
		cases = append(cases, jwtCase(fmt.Sprintf("header %d: %.90q", i, header), token(header,
			goodClaims)))
	}
	for i, set := range claimSets() {
		cases = append(cases, jwtCase(fmt.Sprintf("claims %d: %.120q", i, set), token(goodHeader,
			set)))
	}
	cases = append(cases, jwtAlgorithms()...)
	cases = append(cases, jwtForms()...)
	cases = append(cases, jwtContexts()...)
	random := rand.New(rand.NewSource(4))
	for i := 0; i < 150; i++ {
		header, set := goodHeader, goodClaims
		if i%3 == 0 {
			header = string(mutate(random, []byte(header)))
		} else {
			set = string(mutate(random, []byte(set)))
		}
		cases = append(cases, jwtCase(fmt.Sprintf("mutant %d", i), token(header, set)))
	}
	whole := token(goodHeader, goodClaims)
	for i := 0; i < 50; i++ {
		cases = append(cases, jwtCase(fmt.Sprintf("mutant of the token %d", i),
			string(mutate(random, []byte(whole)))))
	}
	return cases, bundles
}
