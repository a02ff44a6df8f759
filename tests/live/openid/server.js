// A real OpenID provider for the live test: one client, and people whose claims the test changes by PUT /people.
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const { PORT, CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, ID_TOKEN_CLAIMS } = process.env;
const issuer = `http://127.0.0.1:${PORT}`;
let people = {};

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: CLIENT_ID,
      client_secret: CLIENT_SECRET,
      redirect_uris: [REDIRECT_URI],
      id_token_signed_response_alg: "RS256",
    },
  ],
  claims: {
    openid: ["sub"],
    email: ["email", "email_verified"],
    profile: ["preferred_username", "groups"],
  },
  conformIdTokenClaims: !ID_TOKEN_CLAIMS, // as the standard says: claims come from the userinfo endpoint
  cookies: { keys: ["a key of the live test only"] },
  features: { devInteractions: { enabled: true } },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
});
const handle = provider.callback();

createServer((request, response) => {
  if (request.url !== "/people") return handle(request, response);
  let body = "";
  request.on("data", (chunk) => (body += chunk));
  request.on("end", () => {
    people = JSON.parse(body);
    response.end("ok");
  });
}).listen(Number(PORT), "127.0.0.1");
