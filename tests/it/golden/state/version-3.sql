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
CREATE TABLE adopted (name TEXT PRIMARY KEY, record TEXT NOT NULL, sum INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('salt', 'salted');
INSERT INTO boots VALUES ('boot-1', 1795160920000);
INSERT INTO accounts VALUES ('call-limit', 'open', 'boot-1',
'{"paused_for":"call-limit"}',
-3631574891702002509);
INSERT INTO accounts VALUES ('connection', 'open', 'boot-1',
'{"paused_for":"connection"}',
2181022049577601115);
INSERT INTO accounts VALUES ('fresh', 'open', 'boot-1',
'{}',
8340476666831210798);
INSERT INTO accounts VALUES ('full', 'closed', 'boot-1',
'{"announced":{"at":23,"leaf":"0404040404040404040404040404040404040404040404040404040404040404","proven":true,"text":"soon"},"answered":9,"called_ms":4,"calling":true,"calls":5,"closed":{"again":2,"refused":65535,"since":1,"spent":[1,2],"text":"refused","tried":3,"unclear":"no answer"},"details_refused":{"login":18446744073709551615,"since":6,"tag":7,"text":"Permission denied!"},"ends_ms":9,"login":18446744073709551615,"paused_for":"unanswered","paused_until_ms":2,"paused_way":18446744073709551615,"paused_why":"limit","pauses":3,"probe":true,"replacements":[{"at":8,"csr":"0303030303030303030303030303030303030303030303030303030303030303","key":"0404040404040404040404040404040404040404040404040404040404040404","made":false,"number":"5"},{"at":8,"csr":"0303030303030303030303030303030303030303030303030303030303030303","key":"0404040404040404040404040404040404040404040404040404040404040404","made":false,"number":"5","said":"timeout"},{"at":8,"csr":"0303030303030303030303030303030303030303030303030303030303030303","key":"0404040404040404040404040404040404040404040404040404040404040404","made":true,"number":"5","settled":true},{"at":8,"csr":"0303030303030303030303030303030303030303030303030303030303030303","key":"0404040404040404040404040404040404040404040404040404040404040404","made":true,"number":"5","said":"12"}],"unheard":{"calls":2,"tag":11,"until_ms":10}}',
5587213341552021540);
INSERT INTO accounts VALUES ('garbled', 'open', 'boot-1',
'{"paused_for":"garbled"}',
2151289940329363654);
INSERT INTO accounts VALUES ('noticed', 'open', 'boot-1',
'{"clock_ahead":601,"notices":[{"alarm":{"cause":18446744073709551615,"kind":"attention","next_ms":24,"since":23,"told":2},"failures":3,"over":true,"owed":[["mail","recovered"]],"retry_ms":25}]}',
-2028632938865426529);
INSERT INTO accounts VALUES ('password', 'open', 'boot-1',
'{"paused_for":"password"}',
3998688687053490701);
INSERT INTO accounts VALUES ('reissued', 'open', 'boot-1',
'{"reissues":{"in_vain":1,"sent":[26,27]}}',
5874195778717344376);
INSERT INTO accounts VALUES ('retry-after', 'open', 'boot-1',
'{"paused_for":"retry-after"}',
7814499731358433730);
INSERT INTO accounts VALUES ('sparse', 'closed', 'boot-1',
'{"closed":{"since":1,"text":"refused"},"details_refused":{"login":1,"since":6,"text":"no"},"replacements":[{"at":8,"csr":"0303030303030303030303030303030303030303030303030303030303030303","made":false,"number":"5","settled":true}],"unheard":{"calls":1,"until_ms":2}}',
-6681754001215122721);
INSERT INTO accounts VALUES ('unanswered', 'open', 'boot-1',
'{"paused_for":"unanswered"}',
-8969190778934513144);
INSERT INTO orders VALUES ('alarmed', 'waiting', 'boot-1',
'{"account":"main","alarmed":true,"alarms":[{"cause":18446744073709551615,"kind":"attention","next_ms":24,"since":23,"told":2}],"due_ms":5000000,"handle":"orderNumber 1","phase":"waiting","since":1795165920,"waiting_since_ms":5000000}',
6108349134491834937);
INSERT INTO orders VALUES ('attention', 'attention', 'boot-1',
'{"account":"main","due_ms":5000000,"handle":"orderNumber 1","phase":"attention","since":1795165920,"waiting_since_ms":5000000}',
6431746097976136133);
INSERT INTO orders VALUES ('collected', 'collected', 'boot-1',
'{"account":"main","due_ms":5000000,"handle":"orderNumber 1","phase":"collected","since":1795165920,"waiting_since_ms":5000000}',
123360388688498186);
INSERT INTO orders VALUES ('deploying', 'deploying', 'boot-1',
'{"account":"main","due_ms":5000000,"handle":"orderNumber 1","phase":"deploying","since":1795165920,"waiting_since_ms":5000000}',
-4900112572992870016);
INSERT INTO orders VALUES ('full', 'quarantined', 'boot-1',
'{"accepted":"0101010101010101010101010101010101010101010101010101010101010101","account":"main","bundled":true,"domains":{"asked_ms":20,"heard":{"at":21,"code":0,"dcv":[["a.example",null,null]],"text":"1 of 1"}},"drift":"cert.pem was changed","due_ms":6,"expiry_warnings":2,"failures":8,"former":[{"account":"main","asked_ms":1,"handle":"orderNumber 11","polled_ms":2}],"handle":"orderNumber 12","heard":{"at":10,"caa":"a\\nb","certificate_status":"Issued","code":-4,"dcv":[["a.example","EMAIL","In progress"]],"domains":[["a.example","VALIDATED"]],"fqdn":"a.example","others":[["x","y"]],"since":9,"statuses":[["dcvStatus",2]],"term_end":12,"term_start":11,"text":"words","validation_status":"Complete"},"hooks":[{"ended":16,"event":"expiring","hook":"nginx","next_ms":15,"outcome":"failed: exit code 1","since":13,"started":true,"tries":14}],"installed":{"at":17,"chain":["0808080808080808080808080808080808080808080808080808080808080808"],"files":[{"mode":416,"name":"cert.pem","sha256":"0909090909090909090909090909090909090909090909090909090909090909"}],"fingerprint":"0707070707070707070707070707070707070707070707070707070707070707","key":"/etc/key.pem","name":"one","names":["a.example","b.example"],"not_after":2,"not_before":1,"root":"0606060606060606060606060606060606060606060606060606060606060606","serial":"0a0b","spec":18446744073709551615},"leafless":true,"lost":"readers do not find chain.pem","number":"13","phase":"quarantined","polled_ms":5,"polls":7,"pushed":{"certificate":"99","hinted_ms":22,"idle":3,"revocation":{"at":23,"leaf":"0404040404040404040404040404040404040404040404040404040404040404","proven":true,"text":"soon"}},"reason":"key: does not fit","refused":"0202020202020202020202020202020202020202020202020202020202020202","reissue_ms":4,"rollback":true,"since":3,"staged":{"at":17,"chain":["0808080808080808080808080808080808080808080808080808080808080808"],"files":[{"mode":416,"name":"cert.pem","sha256":"0909090909090909090909090909090909090909090909090909090909090909"}],"fingerprint":"0707070707070707070707070707070707070707070707070707070707070707","key":"/etc/key.pem","name":"two","names":["a.example","b.example"],"not_after":2,"not_before":1,"root":"0606060606060606060606060606060606060606060606060606060606060606","serial":"0a0b","spec":18446744073709551615},"term_warned":20,"trouble":{"next_ms":19,"text":"disk full","tries":18},"uncovered":["mail.example.com"],"unknowns":9,"waiting_since_ms":4}',
-8526602551960341201);
INSERT INTO orders VALUES ('guarding', 'guarding', 'boot-1',
'{"account":"main","due_ms":5000000,"handle":"orderNumber 1","phase":"guarding","since":1795165920,"waiting_since_ms":5000000}',
-872245396235100416);
INSERT INTO orders VALUES ('held', 'collected', 'boot-1',
'{"account":"main","at_once":"0202020202020202020202020202020202020202020202020202020202020202","due_ms":5000000,"handle":"orderNumber 1","held":{"leaf":"0505050505050505050505050505050505050505050505050505050505050505","not_after":24,"serial":"0c","since":23},"phase":"collected","revoked":"0303030303030303030303030303030303030303030303030303030303030303","since":1795165920,"waiting_since_ms":5000000}',
-6324481848748594527);
INSERT INTO orders VALUES ('probed', 'waiting', 'boot-1',
'{"account":"main","due_ms":5000000,"handle":"orderNumber 1","phase":"waiting","probed":{"fresh":true,"probes":[{"failures":2,"label":"127.0.0.1:443","leaf":"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b","next_ms":23,"served":[{"address":"127.0.0.1:443","at":24,"leaf":"0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c","wrong":"still serves another"}]}],"rollback":"wanted","told":true},"since":1795165920,"waiting_since_ms":5000000}',
-2546242284067450854);
INSERT INTO orders VALUES ('quarantined', 'quarantined', 'boot-1',
'{"account":"main","due_ms":5000000,"handle":"orderNumber 1","phase":"quarantined","since":1795165920,"waiting_since_ms":5000000}',
-3142521139134246790);
INSERT INTO orders VALUES ('rehearsed', 'waiting', 'boot-1',
'{"account":"main","due_ms":5000000,"handle":"orderNumber 1","phase":"waiting","rehearsed":{"at":27,"failed":"hook nginx: failed","next_ms":26},"since":1795165920,"waiting_since_ms":5000000}',
-2793568867247846948);
INSERT INTO orders VALUES ('reissued', 'waiting', 'boot-1',
'{"account":"main","due_ms":5000000,"handle":"orderNumber 1","installed":{"at":0,"common_name":"a.example","files":[],"fingerprint":"abababababababababababababababababababababababababababababababab","name":"one","names":[],"not_after":2,"not_before":1,"serial":"0a","spec":0},"phase":"waiting","reissue":{"code":-14,"csr":"MII=","dcv":"cname","held":"held","look_ms":29,"looks":3,"parameters":[["a","b"]],"proven":true,"records":[["_a.example","b.sectigo.com"]],"replaces":"0101010101010101010101010101010101010101010101010101010101010101","said":"said","sent":30,"since":28,"stage":"unclear","unchanged":2,"unique":"a1"},"since":1795165920,"tokens":[{"csr":"0707070707070707070707070707070707070707070707070707070707070707","unique":"a1"}],"waiting_since_ms":5000000}',
2232065784477768941);
INSERT INTO orders VALUES ('reissued again', 'waiting', 'boot-1',
'{"account":"main","due_ms":5000000,"handle":"orderNumber 1","phase":"waiting","reissue":{"code":-14,"csr":"MII=","dcv":"cname","earlier":{"code":-14,"csr":"MII=","dcv":"cname","held":"held","looks":3,"parameters":[["a","b"]],"proven":true,"records":[["_a.example","b.sectigo.com"]],"replaces":"0101010101010101010101010101010101010101010101010101010101010101","said":"said","sent":30,"since":28,"stage":"unclear","unchanged":2,"unique":"a1"},"held":"held","look_ms":29,"looks":3,"parameters":[["a","b"]],"proven":true,"records":[["_a.example","b.sectigo.com"]],"replaces":"0101010101010101010101010101010101010101010101010101010101010101","said":"said","sent":30,"since":28,"stage":"preparing","unchanged":2,"unique":"a1"},"since":1795165920,"waiting_since_ms":5000000}',
8839524447877082398);
INSERT INTO orders VALUES ('rejected', 'rejected', 'boot-1',
'{"account":"main","due_ms":5000000,"handle":"orderNumber 1","phase":"rejected","since":1795165920,"waiting_since_ms":5000000}',
-4122542290809485140);
INSERT INTO orders VALUES ('revoked', 'revoked', 'boot-1',
'{"account":"main","due_ms":5000000,"handle":"orderNumber 1","phase":"revoked","since":1795165920,"waiting_since_ms":5000000}',
-7983503895096816059);
INSERT INTO orders VALUES ('sparse', 'waiting', 'boot-1',
'{"account":"main","domains":{"asked_ms":1},"former":[{"account":"main","handle":"certificateID 2","polled_ms":-1}],"handle":"orderNumber 1","heard":{"at":5,"caa":"a\\\\b\\u{e9}''\"","statuses":[["csrStatus",-7],["dcvStatus",-6],["ovCallBackStatus",-5],["organizationValidationStatus",-4],["freeDVUPStatus",-3],["evClickThroughStatus",-2],["brandValStatus",-1],["maStatus",0],["evAssumedName",1],["evLegalExistence",2],["evPhysicalExistence",3],["evOperationalExistence",4],["evSignerApproverRequester",5],["evSignerSecondApproval",6],["dcvStatusCode",7]],"text":"it''s"},"hooks":[{"event":"installed","hook":"nginx","since":1},{"event":"failed","hook":"nginx","since":1},{"event":"expiring","hook":"nginx","since":1}],"installed":{"at":0,"chain":[],"files":[],"fingerprint":"abababababababababababababababababababababababababababababababab","name":"one","names":[],"not_after":2,"not_before":1,"serial":"0a","spec":0},"phase":"waiting","pushed":{"revocation":{"at":1,"text":"soon"}},"since":1795165920,"staged":{"at":0,"files":[],"fingerprint":"abababababababababababababababababababababababababababababababab","name":"one","names":[],"not_after":2,"not_before":1,"serial":"0a","spec":0},"waiting_since_ms":5000000}',
-1250267197204250950);
INSERT INTO orders VALUES ('waiting', 'waiting', 'boot-1',
'{"account":"main","due_ms":5000000,"handle":"orderNumber 1","phase":"waiting","since":1795165920,"waiting_since_ms":5000000}',
-1460635233521527657);
INSERT INTO adopted VALUES ('full',
'{"account":"main","number":"12","replaced":"5","request":"MII=","since":9}',
-5987143743875818160);
INSERT INTO adopted VALUES ('sparse',
'{"account":"main","number":"12","replaced":"5","since":9}',
-2152398619593189937);
INSERT INTO bundles VALUES ('full',
X'0000028e3082028a30820230a00302010202147c627ca029b3b5c6a1c657cb3614d604e226e1af300a06082a8648ce3d0403023040310b300906035504061302585831143012060355040a0c0b4669787475726520496e63311b301906035504030c12466978747572652049737375696e672043413020170d3236313132303131343431315a180f32313236313032373131343431315a303d310b300906035504061302585831143012060355040a0c0b4669787475726520496e633118301606035504030c0f7777772e6578616d706c652e636f6d3059301306072a8648ce3d020106082a8648ce3d03010703420004cc09a29b72ea8b321dbdd5d39389e3905fbcf65f0b3d2497f8970dcd50785d0df78d1e54e22fcee5ba70e9930745dfbdf110ef35cee0a9cc926c7f99cae4ed36a38201073082010330090603551d1304023000300e0603551d0f0101ff04040302078030130603551d25040c300a06082b06010505070301301d0603551d0e04160414968f31b715d14bebea2f116ee00062027273405e301f0603551d2304183016801466693bf4289767cd31ee5eab60afe3d7be82e32a3081900603551d11048188308185820f7777772e6578616d706c652e636f6d820d2a2e6578616d706c652e6f72678704c0000207871020010db8000000000000000000000007810f6f7073406578616d706c652e636f6d861568747470733a2f2f6578616d706c652e636f6d2f7888032a0304a00c06032a0305a0050c036f6464a410300e310c300a06035504030c036f6464300a06082a8648ce3d0403020348003045022100fa950deba1a815d6e1e18a24fed3469a8adf36a9ad6b7e001e9d8203948268ed022016806f011e3249d50fcf5bed9c977625195557a20af08b3e387da3a3fd51c12a',
9219874896227329966);
INSERT INTO history VALUES (1, 'order full', 3, 'warn', 'poll', 'words');
PRAGMA user_version = 3;
