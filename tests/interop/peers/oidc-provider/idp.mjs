// An independent OpenID Connect server: npm oidc-provider, as its documentation sets it up.
// Arguments: port, folder for gw.jwk.json, life of a device code in seconds. Says "ready".
import { Provider } from "oidc-provider";
import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";

const [port, folder, deviceCode] = [Number(process.argv[2]), process.argv[3], Number(process.argv[4])];
const issuer = `http://127.0.0.1:${port}`;
const api = "urn:dunes:mission";
const on = { enabled: true };
const key = (kid) => ({
  ...generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" }),
  kid, use: "sig", alg: "ES256",
});
const gateway = key("gw1");
const { d, ...gatewayPublic } = gateway;
writeFileSync(`${folder}/gw.jwk.json`, JSON.stringify(gateway), { mode: 0o600 });
const device = "urn:ietf:params:oauth:grant-type:device_code";
const machine = { grant_types: ["client_credentials"], response_types: [], redirect_uris: [] };

const provider = new Provider(issuer, {
  clients: [
    { client_id: "cli", application_type: "native", token_endpoint_auth_method: "none",
      response_types: ["code"], grant_types: [device, "refresh_token", "authorization_code"],
      redirect_uris: ["http://127.0.0.1/callback"] },
    { client_id: "gateway", client_secret: "with:colon&%", ...machine },
    { client_id: "gateway-jwt", token_endpoint_auth_method: "private_key_jwt",
      token_endpoint_auth_signing_alg: "ES256", jwks: { keys: [gatewayPublic] }, ...machine },
  ],
  clientDefaults: { id_token_signed_response_alg: "ES256" },
  jwks: { keys: [key("srv1")] },
  cookies: { keys: ["test"] },
  scopes: ["openid", "offline_access", "telemetry", "habitat-data", "rover-data"],
  rotateRefreshToken: true,
  ttl: { DeviceCode: deviceCode, AccessToken: 300, ClientCredentials: 300, RefreshToken: 3600,
    Grant: 3600, Session: 600, Interaction: 600, IdToken: 300 },
  features: {
    devInteractions: on, deviceFlow: on, clientCredentials: on, revocation: on, dPoP: on,
    resourceIndicators: {
      enabled: true,
      defaultResource: () => api,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: "telemetry habitat-data rover-data", audience: api,
        accessTokenFormat: "jwt", jwt: { sign: { alg: "ES256" } },
      }),
    },
  },
});
provider.listen(port, "127.0.0.1", () => console.log("ready"));
