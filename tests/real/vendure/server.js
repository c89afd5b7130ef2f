// A Vendure on the PostgreSQL that PGHOST and its like name: node server.js PORT FILES. Assets are kept in FILES and served at /assets.
'use strict';
const fs = require('fs');
const path = require('path');
const { Readable } = require('stream');
const { bootstrap, DefaultLogger, JobQueueService, LogLevel } = require('@vendure/core');

const [port, files] = process.argv.slice(2);
const at = name => path.join(files, path.basename(name));
const storage = {
    writeFileFromBuffer: async (name, data) => (fs.writeFileSync(at(name), data), path.basename(name)),
    writeFileFromStream: (name, data) => new Promise((resolve, reject) => {
        data.pipe(fs.createWriteStream(at(name))).on('finish', () => resolve(path.basename(name))).on('error', reject);
    }),
    readFileToBuffer: async name => fs.readFileSync(at(name)),
    readFileToStream: async name => Readable.from(fs.readFileSync(at(name))),
    deleteFile: async name => fs.unlinkSync(at(name)),
    fileExists: async name => fs.existsSync(at(name)),
    toAbsoluteUrl: (request, name) => `http://127.0.0.1:${port}/assets/${name}`,
};

bootstrap({
    apiOptions: {
        hostname: '127.0.0.1',
        port: Number(port),
        adminListQueryLimit: 100,
        middleware: [{
            route: 'assets',
            handler: (request, response) => response.type('png').send(fs.readFileSync(at(request.path))),
        }],
    },
    authOptions: {
        tokenMethod: ['bearer', 'api-key'],
        superadminCredentials: { identifier: 'superadmin', password: 'superadmin' },
    },
    assetOptions: {
        assetStorageStrategy: storage,
        assetPreviewStrategy: { generatePreviewImage: async (context, type, data) => data },
    },
    dbConnectionOptions: { type: 'postgres', synchronize: true, database: process.env.PGDATABASE },
    logger: new DefaultLogger({ level: LogLevel.Warn }),
    paymentOptions: { paymentMethodHandlers: [] },
}).then(app => app.get(JobQueueService).start()).catch(error => {
    console.error(error);
    process.exit(1);
});
