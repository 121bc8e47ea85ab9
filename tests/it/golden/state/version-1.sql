CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE boots (boot TEXT PRIMARY KEY, offset_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE accounts (
    name TEXT PRIMARY KEY, state TEXT NOT NULL, boot TEXT NOT NULL, record TEXT NOT NULL, sum INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE orders (
    name TEXT PRIMARY KEY, phase TEXT NOT NULL, boot TEXT NOT NULL, record TEXT NOT NULL, sum INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE bundles (name TEXT PRIMARY KEY, certificates BLOB NOT NULL, sum INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE history (
    id INTEGER PRIMARY KEY, subject TEXT NOT NULL, at INTEGER NOT NULL, level TEXT NOT NULL, kind TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX history_of ON history (subject, id);
INSERT INTO meta VALUES ('salt', 'salted');
INSERT INTO boots VALUES ('boot-1', 1795160920000);
INSERT INTO accounts VALUES ('full', 'closed', 'boot-1',
'{"closed":{"since":1,"text":"refused","refused":65535},"probe":true,"paused_until_ms":2,"paused_why":"call limit reached (code -42)","pauses":3,"called_ms":4,"calling":true,"calls":5}',
5641511111122246035);
INSERT INTO accounts VALUES ('fresh', 'open', 'boot-1',
'{}',
8340476666831210798);
INSERT INTO accounts VALUES ('closed', 'closed', 'boot-1',
'{"closed":{"since":1,"text":"refused"}}',
-8646881240659742211);
INSERT INTO orders VALUES ('full', 'quarantined', 'boot-1',
'{"account":"main","handle":"orderNumber 12","phase":"quarantined","since":3,"waiting_since_ms":4,"reason":"key: does not fit","polled_ms":5,"due_ms":6,"polls":7,"failures":8,"unknowns":9,"heard":{"at":10,"code":-4,"text":"words","certificate_status":"Issued","validation_status":"Complete","fqdn":"a.example","term_start":11,"term_end":12,"domains":[["a.example","VALIDATED"]],"dcv":[["a.example","EMAIL","In progress"]],"statuses":[["dcvStatus",2]],"caa":"a\\nb","others":[["x","y"]]},"installed":{"name":"one","at":17,"fingerprint":"0707070707070707070707070707070707070707070707070707070707070707","serial":"0a0b","not_before":1,"not_after":2,"names":["a.example","b.example"],"key":"/etc/key.pem","files":[{"name":"cert.pem","sha256":"0909090909090909090909090909090909090909090909090909090909090909","mode":416}],"spec":18446744073709551615},"staged":{"name":"two","at":17,"fingerprint":"0707070707070707070707070707070707070707070707070707070707070707","serial":"0a0b","not_before":1,"not_after":2,"names":["a.example","b.example"],"key":"/etc/key.pem","files":[{"name":"cert.pem","sha256":"0909090909090909090909090909090909090909090909090909090909090909","mode":416}],"spec":18446744073709551615},"rollback":true,"bundled":true,"accepted":"0101010101010101010101010101010101010101010101010101010101010101","refused":"0202020202020202020202020202020202020202020202020202020202020202","hooks":[{"hook":"nginx","event":"expiring","since":13,"tries":14,"next_ms":15,"started":true,"outcome":"failed: exit code 1","ended":16}],"expiry_warnings":2,"trouble":{"text":"disk full","tries":18,"next_ms":19},"drift":"cert.pem was changed"}',
-1055204291029624955);
INSERT INTO orders VALUES ('waiting', 'waiting', 'boot-1',
'{"account":"main","handle":"orderNumber 1","phase":"waiting","since":1795165920,"waiting_since_ms":5000000,"due_ms":5000000}',
770602374237298191);
INSERT INTO orders VALUES ('collected', 'collected', 'boot-1',
'{"account":"main","handle":"orderNumber 1","phase":"collected","since":1795165920,"waiting_since_ms":5000000,"due_ms":5000000}',
-6991406912423531481);
INSERT INTO orders VALUES ('deploying', 'deploying', 'boot-1',
'{"account":"main","handle":"orderNumber 1","phase":"deploying","since":1795165920,"waiting_since_ms":5000000,"due_ms":5000000}',
7119333738034262090);
INSERT INTO orders VALUES ('guarding', 'guarding', 'boot-1',
'{"account":"main","handle":"orderNumber 1","phase":"guarding","since":1795165920,"waiting_since_ms":5000000,"due_ms":5000000}',
583211954717166657);
INSERT INTO orders VALUES ('quarantined', 'quarantined', 'boot-1',
'{"account":"main","handle":"orderNumber 1","phase":"quarantined","since":1795165920,"waiting_since_ms":5000000,"due_ms":5000000}',
3381220948212155016);
INSERT INTO orders VALUES ('attention', 'attention', 'boot-1',
'{"account":"main","handle":"orderNumber 1","phase":"attention","since":1795165920,"waiting_since_ms":5000000,"due_ms":5000000}',
-8933381345210857671);
INSERT INTO orders VALUES ('rejected', 'rejected', 'boot-1',
'{"account":"main","handle":"orderNumber 1","phase":"rejected","since":1795165920,"waiting_since_ms":5000000,"due_ms":5000000}',
-6838340490355893841);
INSERT INTO orders VALUES ('revoked', 'revoked', 'boot-1',
'{"account":"main","handle":"orderNumber 1","phase":"revoked","since":1795165920,"waiting_since_ms":5000000,"due_ms":5000000}',
-3861425415542943616);
INSERT INTO orders VALUES ('debts', 'waiting', 'boot-1',
'{"account":"main","handle":"orderNumber 1","phase":"waiting","since":1795165920,"waiting_since_ms":5000000,"due_ms":5000000,"hooks":[{"hook":"nginx","event":"installed","since":1},{"hook":"nginx","event":"failed","since":1},{"hook":"nginx","event":"expiring","since":1}]}',
-2045858371825658099);
INSERT INTO orders VALUES ('said', 'waiting', 'boot-1',
'{"account":"main","handle":"orderNumber 1","phase":"waiting","since":1795165920,"waiting_since_ms":5000000,"due_ms":5000000,"heard":{"at":5,"text":"it''s","statuses":[["csrStatus",-7],["dcvStatus",-6],["ovCallBackStatus",-5],["organizationValidationStatus",-4],["freeDVUPStatus",-3],["evClickThroughStatus",-2],["brandValStatus",-1],["maStatus",0],["evAssumedName",1],["evLegalExistence",2],["evPhysicalExistence",3],["evOperationalExistence",4],["evSignerApproverRequester",5],["evSignerSecondApproval",6],["dcvStatusCode",7]],"caa":"a\\\\b\\u{e9}''\""}}',
-5304003694269311083);
INSERT INTO bundles VALUES ('full',
X'0000028e3082028a30820230a00302010202147c627ca029b3b5c6a1c657cb3614d604e226e1af300a06082a8648ce3d0403023040310b300906035504061302585831143012060355040a0c0b4669787475726520496e63311b301906035504030c12466978747572652049737375696e672043413020170d3236313132303131343431315a180f32313236313032373131343431315a303d310b300906035504061302585831143012060355040a0c0b4669787475726520496e633118301606035504030c0f7777772e6578616d706c652e636f6d3059301306072a8648ce3d020106082a8648ce3d03010703420004cc09a29b72ea8b321dbdd5d39389e3905fbcf65f0b3d2497f8970dcd50785d0df78d1e54e22fcee5ba70e9930745dfbdf110ef35cee0a9cc926c7f99cae4ed36a38201073082010330090603551d1304023000300e0603551d0f0101ff04040302078030130603551d25040c300a06082b06010505070301301d0603551d0e04160414968f31b715d14bebea2f116ee00062027273405e301f0603551d2304183016801466693bf4289767cd31ee5eab60afe3d7be82e32a3081900603551d11048188308185820f7777772e6578616d706c652e636f6d820d2a2e6578616d706c652e6f72678704c0000207871020010db8000000000000000000000007810f6f7073406578616d706c652e636f6d861568747470733a2f2f6578616d706c652e636f6d2f7888032a0304a00c06032a0305a0050c036f6464a410300e310c300a06035504030c036f6464300a06082a8648ce3d0403020348003045022100fa950deba1a815d6e1e18a24fed3469a8adf36a9ad6b7e001e9d8203948268ed022016806f011e3249d50fcf5bed9c977625195557a20af08b3e387da3a3fd51c12a',
9219874896227329966);
INSERT INTO history VALUES (1, 'order full', 3, 'warn', 'poll', 'words');
PRAGMA user_version = 1;
