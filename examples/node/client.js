#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Mutual TLS with Node's own https module: it is given the key's reference where it wants a private key.
"use strict";
const fs = require("fs");
const https = require("https");

const [url, certificate, reference, ca] = process.argv.slice(2);
if (!reference) {
    console.error("usage: client.js URL CERTIFICATE REFERENCE [CA]");
    process.exit(2);
}

function fail(error) {
    console.error(`client.js: ${error.message} (OPENSSL_CONF: ${process.env.OPENSSL_CONF}; ask \`hsmux status\`)`);
    process.exitCode = 1;
}

try {
    const options = { cert: fs.readFileSync(certificate), key: fs.readFileSync(reference), timeout: 30000 };
    if (ca)
        options.ca = fs.readFileSync(ca);
    https.get(url, options, (answer) => {
        answer.on("error", fail).pipe(process.stdout);
        if (answer.statusCode >= 400)
            fail(new Error(`${url}: ${answer.statusCode} ${answer.statusMessage}`));
    }).on("timeout", function () {
        this.destroy(new Error(`${url}: no answer`));
    }).on("error", fail);
} catch (error) {
    fail(error);
}
