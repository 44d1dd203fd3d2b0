-- serves: admission, those of each tenant whose deadline is near, so that what waits of
-- a tenant without money is not read. Made while writers of what waits are held up, for
-- about a second for a million; where that must wait for a long transaction itself,
-- it gives up, and is repeated by the next `migrate`.
SET LOCAL lock_timeout = '10s';
CREATE INDEX IF NOT EXISTS waiting_tenant_deadlines ON tidegate.waiting (route, tenant, deadline) WHERE not_before IS NULL;
