// An independent client: npm openid-client. Does what it is told at an issuer and prints JSON
// lines: {"step": …}. Arguments: issuer, flow, then what the flow needs.
import * as client from "openid-client";
import { readFileSync } from "node:fs";
import { createPrivateKey } from "node:crypto";

const [issuer, flow, file] = process.argv.slice(2);
const loopback = { execute: [client.allowInsecureRequests] };
const say = (step, values) => console.log(JSON.stringify({ step, ...values }));
const scope = "openid offline_access telemetry";
const form = (values) => new URLSearchParams(values);

// the person: fills in the issuer's own pages
async function press(page, url, values) {
  const hidden = [...page.matchAll(/type="hidden" name="([^"]+)" value="([^"]*)"/g)].map((m) => [m[1], m[2]]);
  return fetch(url, { method: "POST", redirect: "manual", body: form([...hidden, ...Object.entries(values)]) });
}

async function after(config, tokens, options) {
  say("tokens", { type: tokens.token_type, scope: tokens.scope, sub: tokens.claims()?.sub });
  const again = await client.refreshTokenGrant(config, tokens.refresh_token, {}, options);
  say("refreshed", { rotated: again.refresh_token !== tokens.refresh_token, type: again.token_type });
  const who = await client.fetchUserInfo(config, again.access_token, client.skipSubjectCheck, options);
  say("userinfo", { sub: who.sub });
  let error = "none";
  await client.refreshTokenGrant(config, tokens.refresh_token, {}, options).catch((e) => { error = e.error; });
  say("stolen", { error });
  error = "none";
  await client.refreshTokenGrant(config, again.refresh_token, {}, options).catch((e) => { error = e.error; });
  say("family", { error });
}

if (flow === "device" || flow === "device-dpop") {
  const config = await client.discovery(new URL(issuer), "sakina", undefined, client.None(), loopback);
  const options = flow === "device-dpop"
    ? { DPoP: client.getDPoPHandle(config, await client.randomDPoPKeyPair("ES256")) } : {};
  const started = await client.initiateDeviceAuthorization(config, { scope });
  say("code", { interval: started.interval, expires: started.expires_in });
  const page = await (await fetch(started.verification_uri_complete)).text();
  const done = await press(page, `${issuer}/device`, { login: "ada", decision: "approve" });
  say("approved", { status: done.status });
  await after(config, await client.pollDeviceAuthorizationGrant(config, started, {}, options), options);
} else if (flow === "code") {
  const config = await client.discovery(new URL(issuer), "sakina", undefined, client.None(), loopback);
  const [verifier, state, nonce] = [client.randomPKCECodeVerifier(), client.randomState(), client.randomNonce()];
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: "http://127.0.0.1:4711/callback", scope, state, nonce, prompt: "consent",
    code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256",
  });
  const page = await (await fetch(url)).text();
  const back = await press(page, `${issuer}/authorize`, { login: "ada", decision: "approve" });
  const location = new URL(back.headers.get("location"));
  say("callback", { iss: location.searchParams.get("iss") });
  const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce };
  await after(config, await client.authorizationCodeGrant(config, location, checks), {});
} else {
  let id, auth;
  if (flow === "key") {
    id = "gateway";
    const pem = createPrivateKey(readFileSync(file)).export({ type: "pkcs8", format: "der" });
    const key = await crypto.subtle.importKey("pkcs8", pem, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
    auth = client.PrivateKeyJwt({ key, kid: "gateway-1" });
  } else {
    const account = JSON.parse(readFileSync(file));
    id = account.client_id;
    auth = (flow === "basic" ? client.ClientSecretBasic : client.ClientSecretPost)(account.client_secret);
  }
  const config = await client.discovery(new URL(issuer), id, undefined, auth, loopback);
  const tokens = await client.clientCredentialsGrant(config, { scope: "telemetry", resource: "urn:x:y" });
  say("tokens", { type: tokens.token_type, scope: tokens.scope });
  const claims = JSON.parse(Buffer.from(tokens.access_token.split(".")[1], "base64url"));
  say("claims", { aud: claims.aud, sub: claims.sub, iss: claims.iss });
  await client.tokenRevocation(config, tokens.access_token);
  say("revoked", {});
}
