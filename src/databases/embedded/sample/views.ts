/** Views and functions of the sample. Views run with the rights of whoever asks, so that row security holds in them. */
export const SAMPLE_VIEWS = `
CREATE VIEW order_totals WITH (security_invoker = true) AS
SELECT o.id AS order_id, o.tenant_id, o.customer_id, o.status, o.ordered_at, count(l.line_no) AS lines, coalesce(sum(l.quantity * l.unit_price), 0) AS total
FROM orders AS o LEFT JOIN order_lines AS l ON l.order_id = o.id GROUP BY o.id;
COMMENT ON VIEW order_totals IS 'Every order with the number of its lines and its value in Euro';

CREATE VIEW low_stock WITH (security_invoker = true) AS
SELECT i.tenant_id, p.sku, p.name, w.code AS warehouse, i.quantity, i.reorder_level
FROM inventory AS i JOIN products AS p ON p.id = i.product_id JOIN warehouses AS w ON w.id = i.warehouse_id
WHERE i.quantity < i.reorder_level AND NOT p.discontinued;
COMMENT ON VIEW low_stock IS 'Products to reorder: fewer on hand than their reorder level';

CREATE VIEW connection_stats WITH (security_invoker = true) AS
SELECT c.id AS connection_id, c.tenant_id, c.platform_id, count(a.id) AS assignments,
  count(a.id) FILTER (WHERE a.status = 'succeeded') AS succeeded, count(a.id) FILTER (WHERE a.status = 'failed') AS failed, max(a.updated_at) AS last_activity_at
FROM connections AS c LEFT JOIN assignments AS a ON a.connection_id = c.id GROUP BY c.id;
COMMENT ON VIEW connection_stats IS 'How many assignments went through each connection, and how they ended';

CREATE MATERIALIZED VIEW monthly_revenue_all AS
SELECT o.tenant_id, date_trunc('month', o.ordered_at AT TIME ZONE 'UTC')::date AS month, p.category, sum(l.quantity * l.unit_price) AS revenue
FROM orders AS o JOIN order_lines AS l ON l.order_id = o.id JOIN products AS p ON p.id = l.product_id
WHERE o.status <> 'cancelled' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
COMMENT ON MATERIALIZED VIEW monthly_revenue_all IS 'Revenue of all tenants; tenants see their own in monthly_revenue';
CREATE UNIQUE INDEX monthly_revenue_key ON monthly_revenue_all (tenant_id, month, category);

CREATE FUNCTION order_total(order_id bigint) RETURNS numeric LANGUAGE sql STABLE PARALLEL SAFE
  RETURN (SELECT coalesce(sum(l.quantity * l.unit_price), 0) FROM order_lines AS l WHERE l.order_id = order_total.order_id);
COMMENT ON FUNCTION order_total IS 'Value of one order in Euro';

CREATE FUNCTION stock_on_hand(product_id bigint) RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
  RETURN (SELECT coalesce(sum(i.quantity), 0) FROM inventory AS i WHERE i.product_id = stock_on_hand.product_id);
COMMENT ON FUNCTION stock_on_hand IS 'Pieces of one product in all warehouses';

CREATE FUNCTION price_with_tax(price numeric, rate numeric DEFAULT 0.19) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN round(price * (1 + rate), 2);
COMMENT ON FUNCTION price_with_tax IS 'A price with value added tax';
`
