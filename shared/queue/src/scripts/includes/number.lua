-- A number of a job's record, 0 to `most`; `otherwise` if the text is none. The one place where a record is doubted:
-- somebody may have written over it, and no script may break off for one job.
local function number(text, most, otherwise)
  local value = tonumber(text)
  if value and value >= 0 and value <= most then return math.floor(value) end
  return otherwise
end
