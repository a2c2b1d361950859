// A provider of OpenID Connect that others have written (npm: oidc-provider), for one client. Whoever comes is who a file says.
//
//   node provider.mjs NODE_MODULES ALGORITHM CALLBACK SECRET WHO
//
// It says where it listens in its first line.

import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const [modules, algorithm, callback, secret, who] = process.argv.slice(2);
const { default: Provider } = await import(`${modules}/oidc-provider/lib/index.js`);

const key = (type, options) => ({ ...generateKeyPairSync(type, options).privateKey.export({ format: "jwk" }), use: "sig" });
const server = createServer();
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [{
    client_id: "roundhouse",
    client_secret: secret,
    redirect_uris: [callback],
    response_types: ["code"],
    grant_types: ["authorization_code"],
    id_token_signed_response_alg: algorithm,
  }],
  jwks: { keys: [key("rsa", { modulusLength: 2048 }), key("ec", { namedCurve: "P-256" })] },
  cookies: { keys: ["of this test alone"] },
  pkce: { required: () => true },
  scopes: ["openid", "email", "groups"],
  claims: { openid: ["sub"], email: ["email", "email_verified"], groups: ["groups"] },
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@example.org`, email_verified: id !== "eve", groups: ["all", `of-${id}`] }),
  }),
  // Nobody is asked whether the client may know who they are.
  loadExistingGrant: async (context) => {
    const { session, client, provider } = context.oidc;
    const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope("openid email groups");
    await grant.save();
    return grant;
  },
});

const answer = provider.callback();
server.on("request", async (request, response) => {
  if (!request.url.startsWith("/interaction/")) return answer(request, response);
  const accountId = readFileSync(who, "utf8").trim();
  const came = accountId === "nobody"
    ? { error: "access_denied", error_description: "they would not say who they are" }
    : { login: { accountId } };
  await provider.interactionFinished(request, response, came, { mergeWithLastSubmission: false });
});
console.log(issuer);
