// What caniemail's own linter says of a page, as JSON: node doiuse.mjs message.html
import { readFileSync } from "node:fs";
import { doIUseEmail } from "@jsx-email/doiuse-email";

const clients = ["gmail.*", "outlook.*", "apple-mail.*"];
console.log(JSON.stringify(doIUseEmail(readFileSync(process.argv[2], "utf8"), { emailClients: clients })));
