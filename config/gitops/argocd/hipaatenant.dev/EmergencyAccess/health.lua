-- EmergencyAccess follows kstatus: status.observedGeneration and condition Active are written at once, and a new object says
-- observedGeneration -1. A request that waits for an approver is Suspended: nothing but a person moves it on.
local hs = {}

if obj.metadata.deletionTimestamp ~= nil then
  hs.status = "Progressing"
  hs.message = "Being deleted"
  return hs
end

if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  hs.status = "Progressing"
  hs.message = "Waiting for the operator to look at this request"
  return hs
end

-- Granted, and ended when its time was over: both went as asked. Everything else did not.
local states = { Granted = "Healthy", Expired = "Healthy", AwaitingApproval = "Suspended" }
for _, condition in ipairs(obj.status.conditions or {}) do
  if condition.type == "Active" then
    hs.status = states[condition.reason] or "Degraded"
    hs.message = condition.reason .. ": " .. condition.message
    return hs
  end
end

hs.status = "Progressing"
hs.message = "Waiting for the operator to judge the request"
return hs
