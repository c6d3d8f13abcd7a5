// nodemailer's pool: the same messages, filled in by replacement, which is quicker than any template engine.
// node nodemailer_pool.mjs JOB.json NODE_MODULES
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const nodemailer = createRequire(`${process.argv[3]}/`)("nodemailer");
const job = JSON.parse(readFileSync(process.argv[2], "utf8"));

const [heading, ...rows] = readFileSync(job.people, "utf8").trim().split(/\r?\n/).map((line) => line.split(","));
const people = rows.map((row) => Object.fromEntries(row.map((cell, index) => [heading[index], cell])));
const fill = (pieces, person) => pieces.map((piece, index) => (index % 2 ? person[piece] : piece)).join("");
const [text, html] = [job.text, job.html].map((template) => template.split(/{{ (\w+) }}/));

const pool = nodemailer.createTransport({
  pool: true,
  host: "127.0.0.1",
  port: job.port,
  secure: Boolean(job.ca_file),
  ignoreTLS: !job.ca_file,
  tls: job.ca_file ? { ca: readFileSync(job.ca_file) } : undefined,
  maxConnections: job.connections,
  maxMessages: Infinity,
});

let next = 0;
async function feed() {
  while (next < people.length) {
    const person = people[next++];
    await pool.sendMail({
      from: { name: "Digest", address: job.sender },
      to: { name: person.name, address: person.email },
      subject: job.subject,
      messageId: `<${person.token}@example.org>`,
      headers: { "List-Unsubscribe": `<mailto:unsubscribe@example.org?subject=unsubscribe%20${person.token}>` },
      text: fill(text, person),
      html: fill(html, person),
    });
  }
}
// Twice as many as connections: none of them waits for its next message to be built.
await Promise.all(Array.from({ length: 2 * job.connections }, feed));
pool.close();
