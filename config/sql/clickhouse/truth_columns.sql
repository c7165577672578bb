-- What simulated or destructively tested welds really are; only in a table of our own making.
{label} LowCardinality(String)
{label_defect} LowCardinality(String)
{measured_diameter} Nullable(Float32)
{measured_indentation} Nullable(Float32)
{measured_front_thickness} Nullable(Float32)
{measured_stack_thickness} Nullable(Float32)
